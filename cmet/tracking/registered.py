"""Models by the addresses that MLflow gives them, fetched to be edited with."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from cmet.errors import UserError
from cmet.outputs import fresh_folder
from cmet.places import WORK
from cmet.tracking.models import PART, READY, logged_id
from cmet.tracking.store import Store, asked, has_store, open_store

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel

SCHEMES = ("models:/", "runs:/")
FORMS = "models:/NAME@ALIAS, models:/NAME/VERSION, models:/m-ID or runs:/RUN/NAME"
ADDRESS = re.compile(
    r"models:/(?P<id>m-[0-9a-f]{32})|models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))"
    r"|runs:/(?P<run>[0-9a-f]{32})/(?P<logged>[^/]+)"
)
FILES = f"artifacts/{PART}"
FETCHED = Path(WORK) / "runs"


def is_address(text: str) -> bool:
    """Whether a model is named by an address of MLflow and not by a folder."""
    return text.startswith(SCHEMES)


def fetched_model(address: str, root: Path) -> Path:
    """Folder of a logged model, which is fetched into the work folder of the project unless it lies there.

    Of what is logged only the model itself is fetched, which is checked like any other where it is loaded; no code that
    came with it is run.

    Args:
        address: One of `FORMS`.
        root: The project folder.

    Raises:
        UserError: MLflow is not installed, its store does not answer, or it has no such model, or one without files.
    """
    found = ADDRESS.fullmatch(address)
    if found is None:
        raise UserError(f"{address}: expected {FORMS}")
    if find_spec("mlflow") is None:
        raise UserError(
            f"{address}: MLflow is not installed here; install cmet with its extra `pipeline` (in a checkout "
            "`pip install -e '.[pipeline]'`), or name the folder of a model"
        )
    store = store_with_runs(address, root)
    with refusals_told(address, store):
        entry = asked(store, lambda: _entry(store, found))
    folder = root / FETCHED / entry.model_id
    if not folder.is_dir():
        _fetch(address, store, entry, folder)
    return folder


def aliased_models(root: Path) -> list[str]:
    """Addresses of all models to which somebody has given an alias; none where nothing was logged.

    Args:
        root: The project folder.

    Raises:
        UserError: The store does not answer.
    """
    if find_spec("mlflow") is None or not has_store(root):
        return []
    store = open_store(root)
    models = asked(store, lambda: list(store.client.search_registered_models()))
    return sorted(f"models:/{model.name}@{alias}" for model in models for alias in model.aliases)


def store_with_runs(what: str, root: Path) -> Store:
    """The store of a project, which is not made for a question.

    Raises:
        UserError: There is none, or it does not answer; `what` begins the message.
    """
    if not has_store(root):
        raise UserError(f"{what}: no runs were logged in {root}; go there, or name the server in MLFLOW_TRACKING_URI")
    return open_store(root)


@contextmanager
def refusals_told(what: str, store: Store) -> Iterator[None]:
    """Say in a sentence that a store does not have what was asked for, or does not take it."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise UserError(f"{what}: not in {store.address} ({str(error).splitlines()[0]})") from error


def _entry(store: Store, found: re.Match[str]) -> "LoggedModel":
    client, name = store.client, found["name"]
    model_id = found["id"]
    if found["run"]:
        wanted = f"source_run_id = '{found['run']}' AND name = '{found['logged']}'"
        experiment = client.get_run(found["run"]).info.experiment_id
        of_run = list(client.search_logged_models([experiment], wanted, max_results=1))
        if not of_run:
            raise UserError(f"{found[0]}: this run logged no model of that name; trainings with this version do")
        model_id = of_run[0].model_id
    elif name:
        alias = found["alias"]
        version = (
            client.get_model_version_by_alias(name, alias)
            if alias
            else client.get_model_version(name, found["version"])
        )
        model_id = logged_id(version)
        if not model_id:
            raise UserError(f"{found[0]}: version {version.version} is no model that cmet has logged; register another")
    return client.get_logged_model(model_id)


def _fetch(address: str, store: Store, entry: "LoggedModel", folder: Path) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    files = get_artifact_repository(entry.artifact_location, tracking_uri=store.address)
    if str(entry.status) != READY or not asked(store, lambda: files.list_artifacts(FILES)):
        raise UserError(
            f"{address}: {entry.model_id} has no files of a model; an older version logged it, or its training was "
            "stopped: train again, or name another"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with fresh_folder(folder) as unfinished:
        asked(store, lambda: files.download_artifacts(FILES, str(unfinished)))
        # MLflow keeps the folders above what was asked for
        for path in list((unfinished / FILES).iterdir()):
            path.rename(unfinished / path.name)
        (unfinished / FILES).rmdir()
        (unfinished / FILES).parent.rmdir()
