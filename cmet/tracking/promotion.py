"""The best of the logged models gets an alias: by what evaluations measured on the same rows."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cmet.errors import UserError
from cmet.tracking.models import COMPARABLE, MODEL_TAG, READY, logged_id, model_name
from cmet.tracking.registered import refusals_told, store_with_runs
from cmet.tracking.store import Store, asked

if TYPE_CHECKING:
    from mlflow.entities import Run as Logged

METRIC = "acc_emo"
MAX_RUNS = 1000
"""Runs that a store gives at once."""


@dataclass(frozen=True)
class Evaluation:
    """What the run of an evaluation, and the one of `cmet` below it, say of a model."""

    run: str
    """Id of the first."""
    name: str
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    started_ms: int


@dataclass(frozen=True)
class Candidate:
    """An evaluation whose model may be promoted."""

    run: str
    name: str
    model: str
    acc_emo: float
    started_ms: int


@dataclass(frozen=True)
class Refused:
    """An evaluation that was not compared."""

    run: str
    name: str
    reason: str


@dataclass(frozen=True)
class Promotion:
    """An alias that is at the best model, and what that was compared with."""

    address: str
    version: int
    version_before: int | None
    """Where the alias was; None where it was not there."""
    best: Candidate
    compared: list[Candidate]
    """The best first; an evaluation repeated for the same model counts once."""
    refused: list[Refused]
    alike: dict[str, str]
    """What those that were compared share: protocol, rows, judge and corpus."""
    notes: list[str]


def promote_best(root: Path, backbone: str, alias: str, like: str | None = None) -> Promotion:
    """Let an alias of a registered model point to the best accuracy among evaluations that may be ranked.

    Args:
        root: The project folder.
        backbone: The backbone whose evaluations count; the registered model is called as its logged models are.
        alias: Such as `champion`.
        like: Id of the run of an evaluation, with which others must share protocol, rows, judge and corpus; the newest
            one by default.

    Raises:
        UserError: The store does not answer, or has nothing to promote.
    """
    store, name = store_with_runs("promote", root), model_name(backbone)
    runs = list(_evaluations(store, backbone))
    alike = _group(runs, like, backbone, store)
    candidates, refused = _sorted_out(runs, alike)
    before = _aliased(store, name, alias)
    champion = before[1] if before else None
    ranked = sorted(candidates, key=lambda one: (-one.acc_emo, one.model != champion, one.started_ms))
    compared = []
    for one in ranked:
        problem = _problem(store, one.model)
        if problem is None:
            compared.append(one)
        else:
            refused.append(Refused(one.run, one.name, problem))
    if not compared:
        raise UserError(
            f"promote: none of {len(runs)} evaluation(s) of {backbone} in {store.address} has a model to promote "
            f"({refused[0].name}: {refused[0].reason}); run `dvc repro -f train@{backbone}`, then `dvc repro`"
        )
    best = compared[0]
    num_best = sum(one.acc_emo == best.acc_emo for one in compared)
    why = "has the alias already" if best.model == champion else "was evaluated first"
    notes = [f"{num_best} models share the best {METRIC}; {best.model} is taken, which {why}"] if num_best > 1 else []
    with refusals_told(f"{name}@{alias}", store):
        version = asked(store, lambda: _register(store, name, best.model, alias))
    return Promotion(
        f"models:/{name}@{alias}", version, before[0] if before else None, best, compared, refused, alike, notes
    )


def _evaluations(store: Store, backbone: str) -> Iterator[Evaluation]:
    """All that are finished, the newest first."""
    wanted = (
        f"tags.`cmet.stage` = 'evaluate' AND tags.`cmet.backbone` = '{backbone}' AND attributes.status = 'FINISHED'"
    )
    order, token, is_last = ["attributes.start_time DESC"], None, False
    runs: list[Logged] = []
    while not is_last:
        ask = partial(store.client.search_runs, [store.experiment], wanted, 1, MAX_RUNS, order, token)
        page = asked(store, ask)
        runs += page
        token, is_last = page.token, not page.token
    above = {run.info.run_id: str(run.info.run_name) for run in runs}
    for run in runs:
        parent = run.data.tags.get("mlflow.parentRunId", "")
        # an evaluation may show the numbers of `cmet` as its own, too
        if parent in above and run.data.tags.get("cmet.method") == "cmet":
            yield Evaluation(parent, above[parent], run.data.tags, run.data.metrics, run.info.start_time)


def _group(runs: list[Evaluation], like: str | None, backbone: str, store: Store) -> dict[str, str]:
    """What evaluations must share."""
    if not runs:
        raise UserError(f"promote: no finished evaluation of {backbone} in {store.address}; run `dvc repro`")
    wanted = [run for run in runs if like in (None, run.run)]
    if not wanted:
        raise UserError(f"--like {like}: no finished evaluation of {backbone} in {store.address} has this id")
    tags = next((run.tags for run in wanted if COMPARABLE.keys() <= run.tags.keys()), None)
    if tags is None:
        raise UserError(
            "promote: no evaluation says which rows, judge and corpus it measured on, as those of this version do; run "
            f"`dvc repro -f evaluate@{backbone}`"
        )
    return {word: tags[tag] for tag, word in COMPARABLE.items()}


def _sorted_out(runs: list[Evaluation], alike: Mapping[str, str]) -> tuple[list[Candidate], list[Refused]]:
    candidates: dict[str, Candidate] = {}
    refused = []
    for run in runs:
        tags = run.tags
        unsaid = [word for tag, word in COMPARABLE.items() if tag not in tags]
        other = [tag for tag, word in COMPARABLE.items() if tags.get(tag) != alike[word]]
        if unsaid:
            reason = f"does not say its {', '.join(unsaid)}"
        elif other:
            reason = "differs in " + ", ".join(f"{COMPARABLE[tag]} ({tags[tag]})" for tag in other)
        elif METRIC not in run.metrics:
            reason = f"has no {METRIC}"
        elif MODEL_TAG not in tags:
            reason = "its model is not in MLflow"
        else:
            one = Candidate(run.run, run.name, tags[MODEL_TAG], run.metrics[METRIC], run.started_ms)
            # runs come newest first
            candidates.setdefault(one.model, one)
            continue
        refused.append(Refused(run.run, run.name, reason))
    return list(candidates.values()), refused


def _problem(store: Store, model_id: str) -> str | None:
    """Why a model cannot be promoted."""
    from mlflow.exceptions import MlflowException

    try:
        entry = asked(store, lambda: store.client.get_logged_model(model_id))
    except MlflowException:
        return f"its model {model_id} was deleted"
    return None if str(entry.status) == READY else f"its model {model_id} is not whole"


def _aliased(store: Store, name: str, alias: str) -> tuple[int, str] | None:
    """Version and model id that an alias has; None where it is not there."""
    client = store.client

    def find() -> tuple[int, str] | None:
        for known in client.search_registered_models(f"name = '{name}'"):
            if alias in known.aliases:
                version = client.get_model_version(name, known.aliases[alias])
                return int(version.version), logged_id(version)
        return None

    return asked(store, find)


def _register(store: Store, name: str, model_id: str, alias: str) -> int:
    """Give the alias to the version that is this logged model, which is made where it is missing; its number."""
    import mlflow

    client = store.client
    versions = client.search_model_versions(f"name = '{name}'")
    numbers = [int(one.version) for one in versions if logged_id(one) == model_id]
    if not numbers:
        with _default_store(store.address):
            numbers = [int(mlflow.register_model(f"models:/{model_id}", name).version)]
    client.set_registered_model_alias(name, alias, str(max(numbers)))
    return max(numbers)


@contextmanager
def _default_store(address: str) -> Iterator[None]:
    """A block in which MLflow takes a store for the default one: to register, it looks for the logged model there."""
    variable = "MLFLOW_TRACKING_URI"
    before = os.environ.get(variable)
    os.environ[variable] = address
    try:
        yield
    finally:
        if before is None:
            del os.environ[variable]
        else:
            os.environ[variable] = before
