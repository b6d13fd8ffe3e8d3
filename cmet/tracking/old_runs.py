"""Which runs of a project's own store may go, and how they go: with their files, for good.

The runs of a server are cleaned where it runs, with `mlflow gc`.
"""

import sqlite3
import subprocess
import sys
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from cmet.errors import UserError
from cmet.tracking.store import Store, default_store, files_of, has_store, is_database, open_store

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel, Run


def find_old_runs(root: Path, num_kept: int) -> dict[str, list[Path]]:
    """Runs that may go, by id, with the folders of their files and of the models that they have logged.

    These are all but the newest of each stage and backbone, with those below them, and the ones that somebody has
    deleted on MLflow's page. A run that has not ended stays, and one whose model is registered.

    Args:
        root: The project's folder.
        num_kept: How many of each stage and backbone stay.

    Raises:
        UserError: The store does not answer, is a server, or is the database of another project.
    """
    address = default_store(root)
    if not is_database(address):
        raise UserError(
            f"MLFLOW_TRACKING_URI {address}: not the project's own store; clean it where it is, by mlflow gc"
        )
    if not has_store(root):
        return {}
    store = open_store(root)
    files = store.client.get_experiment(store.experiment).artifact_location
    if files != files_of(address, root).as_uri():
        raise UserError(f"{address}: its runs have their files in {files}; clean them in the project of that folder")
    runs = {run.info.run_id: run for run in _all_runs(store)}
    models = defaultdict(list)
    for model in _all_models(store):
        models[model.source_run_id].append(model)
    registry = _registered(store)
    pinned = {
        run_id for run_id in runs if run_id in registry or any(one.model_id in registry for one in models[run_id])
    }
    deleted = {run_id for run_id, run in runs.items() if run.info.lifecycle_stage == "deleted"}
    chosen = deleted - pinned | _all_but_newest({key: runs[key] for key in runs.keys() - deleted}, num_kept, pinned)
    return {
        run_id: [_folder(run.info.artifact_uri), *(_folder(model.artifact_location) for model in models[run_id])]
        for run_id, run in runs.items()
        if run_id in chosen
    }


def remove_runs(root: Path, run_ids: Collection[str]) -> None:
    """Remove runs, their files and the models that they have logged, and let a store's file shrink.

    Raises:
        UserError: MLflow could not remove them, or its file is in use.
    """
    store = open_store(root)
    runs = [run for run in _all_runs(store) if run.info.run_id in run_ids]
    for run in runs:
        if run.info.lifecycle_stage == "active":
            store.client.delete_run(run.info.run_id)
    for model in _all_models(store):
        if model.source_run_id in run_ids:
            store.client.delete_logged_model(model.model_id)
    # with the models that are marked, and none of the other runs
    _collect(store, run_ids)
    for run in runs:
        # MLflow leaves it, empty
        _folder(run.info.artifact_uri).parent.rmdir()
    if not store.address.startswith("sqlite"):
        # Postgres uses the room again by itself
        return
    path = Path(unquote(store.address.partition(":///")[2]))
    try:
        with sqlite3.connect(path, timeout=30) as database:
            database.execute("VACUUM")
    except sqlite3.OperationalError as error:
        raise UserError(
            f"{path}: the runs are gone, but the file could not shrink ({error}); stop MLflow first"
        ) from error


def _all_but_newest(runs: Mapping[str, "Run"], num_kept: int, pinned: Collection[str]) -> set[str]:
    """Runs with those below them, as trees: a tree goes or stays as a whole."""
    trees = defaultdict(list)
    for run_id in runs:
        trees[_top(run_id, runs)].append(run_id)
    groups = defaultdict(list)
    for top in sorted(trees, key=lambda run_id: runs[run_id].info.start_time, reverse=True):
        tags = runs[top].data.tags
        groups[tags.get("cmet.stage"), tags.get("cmet.backbone")].append(top)
    old = [top for group in groups.values() for top in group[num_kept:]]
    return {
        run_id
        for top in old
        if not any(one in pinned or runs[one].info.status == "RUNNING" for one in trees[top])
        for run_id in trees[top]
    }


def _top(run_id: str, runs: Mapping[str, "Run"]) -> str:
    above = runs[run_id].data.tags.get("mlflow.parentRunId")
    return run_id if above is None or above not in runs else _top(above, runs)


def _all_runs(store: Store) -> Iterator["Run"]:
    from mlflow.entities import ViewType

    token = None
    while True:
        page = store.client.search_runs([store.experiment], "", ViewType.ALL, 1000, page_token=token)
        yield from page
        if not (token := page.token):
            return


def _all_models(store: Store) -> Iterator["LoggedModel"]:
    token = None
    while True:
        page = store.client.search_logged_models([store.experiment], page_token=token)
        yield from page
        if not (token := page.token):
            return


def _registered(store: Store) -> str:
    """All that the registry says of where its versions come from; ids of runs and models are found in it."""
    token, said = None, []
    while True:
        page = store.client.search_model_versions(page_token=token)
        said += [f"{version.run_id} {version.model_id} {version.source}" for version in page]
        if not (token := page.token):
            return "\n".join(said)


def _folder(uri: str) -> Path:
    return Path(unquote(urlsplit(uri).path))


def _collect(store: Store, run_ids: Collection[str]) -> None:
    """Remove these runs for good, and all models that are marked as deleted."""
    command = [sys.executable, "-m", "mlflow", "gc", "--run-ids", ",".join(sorted(run_ids))]
    stores = ["--backend-store-uri", store.address, "--tracking-uri", store.address]
    done = subprocess.run([*command, *stores], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"mlflow gc: {(done.stderr.strip() or done.stdout.strip()).splitlines()[-1]}")
