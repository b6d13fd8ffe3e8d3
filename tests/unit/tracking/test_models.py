"""Models in MLflow, against a SQLite store in a temporary folder."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cmet.commands.edit import model_folder
from cmet.connector.product import Model
from cmet.errors import UserError
from cmet.outputs import content_digest
from cmet.params import Params
from cmet.studio.models import RegisteredModels
from cmet.tracking import registered
from cmet.tracking.models import COMPARABLE, MODEL_TAG, models_with
from cmet.tracking.promotion import promote_best
from cmet.tracking.registered import fetched_model
from cmet.tracking.runs import About, Run, tracked_run
from cmet.tracking.store import open_store
from tests.conftest import Command
from tests.unit.editing.models import write_facemesh_model

NAME = "cmet-facemesh"
ALIKE = dict.fromkeys(COMPARABLE, "same")


@pytest.fixture
def about(params: Params, tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> About:
    """A training in a project with an empty store, in its folder."""
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    return About("train", "train", "facemesh", params, {}, "code", tmp_path)


def trained(about: About, model: Path) -> str:
    """Id of the logged model of a training."""
    with tracked_run(about) as run:
        run.log_model(model)
    (entry,) = run.client.search_logged_models([run.store.experiment], f"source_run_id = '{run.run_id}'")
    return entry.model_id


def evaluated(about: About, model: Path, acc_emo: float, **tags: str) -> Run:
    """The evaluation of a model, by the run of `cmet` in it."""
    scored = replace(about, name=f"evaluate {acc_emo} {tags}", stage="evaluate")
    with tracked_run(scored) as above, tracked_run(scored, above, {"cmet.method": "cmet", **ALIKE, **tags}) as run:
        run.log_scores(model, {"acc_emo": acc_emo}, ("rows", "digest"))
    return run


def tag(run: Run, name: str) -> str:
    return run.client.get_run(run.run_id).data.tags[name]


def above(run: Run) -> str:
    """Id of the evaluation that a run is of."""
    return tag(run, "mlflow.parentRunId")


def test_scores_are_of_the_model_of_the_training_and_make_no_second_one(about: About, tmp_path: Path) -> None:
    model = write_facemesh_model(tmp_path / "model")
    model_id = trained(about, model)
    run = evaluated(about, model, 0.5)
    (entry,) = run.client.search_logged_models([run.store.experiment])
    (metric,) = entry.metrics
    assert (entry.model_id, metric.key, metric.value, metric.run_id) == (model_id, "acc_emo", 0.5, run.run_id)
    assert (metric.dataset_name, metric.dataset_digest) == ("rows", "digest")
    logged = run.client.get_run(run.run_id)
    assert [found.model_id for found in logged.inputs.model_inputs] == [model_id]
    assert logged.data.metrics["acc_emo"] == 0.5


def test_an_evaluation_of_a_model_that_was_trained_elsewhere_logs_it_once(about: About, tmp_path: Path) -> None:
    model = write_facemesh_model(tmp_path / "model")
    runs = [evaluated(about, model, score) for score in (0.5, 0.6)]
    (entry,) = models_with(runs[0].client, runs[0].store.experiment, NAME, Model(model).sha256)
    assert entry.source_run_id == runs[0].run_id
    assert {metric.value for metric in entry.metrics} == {0.5, 0.6}


def test_a_logged_model_is_fetched_by_each_of_its_addresses_as_it_was(about: About, tmp_path: Path) -> None:
    model = write_facemesh_model(tmp_path / "model")
    model_id = trained(about, model)
    evaluated(about, model, 0.5)
    promotion = promote_best(tmp_path, "facemesh", "champion")
    run_id = open_store(tmp_path).client.get_logged_model(model_id).source_run_id
    forms = (f"models:/{NAME}@champion", f"models:/{NAME}/1", f"models:/{model_id}", f"runs:/{run_id}/{NAME}")
    assert promotion.address in forms
    (folder,) = {model_folder(form) for form in forms}
    assert content_digest(folder) == content_digest(model)


def test_an_address_without_a_model_is_one_sentence(
    about: About, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tracked_run(about) as run:
        old = run.client.create_logged_model(run.store.experiment, name=NAME, source_run_id=run.run_id)
        run.client.finalize_logged_model(old.model_id, "READY")
    for address, said in (
        (f"models:/{old.model_id}", "has no files of a model; an older version logged it"),
        (f"models:/{NAME}@champion", "not in sqlite:"),
        (f"models:/{NAME}/7", "not in sqlite:"),
        (f"runs:/{run.run_id}/another", "this run logged no model of that name"),
        (f"models:/{NAME}", "expected models:/NAME@ALIAS, "),
    ):
        with pytest.raises(UserError, match=f"^{address}.*{said}"):
            fetched_model(address, tmp_path)
    with pytest.raises(UserError, match="no runs were logged in"):
        fetched_model("models:/a@b", tmp_path / "elsewhere")
    monkeypatch.setattr(registered, "find_spec", lambda _: None)
    with pytest.raises(UserError, match="MLflow is not installed here; install cmet with its extra `pipeline`"):
        fetched_model("models:/a@b", tmp_path)


@pytest.fixture
def models(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Models by the seed of their weights."""
    yield lambda seed: write_facemesh_model(tmp_path / f"model-{seed}", seed)


def test_the_alias_moves_to_the_best_of_those_that_may_be_compared(
    about: About, tmp_path: Path, models: Callable[[int], Path], cmet: Command
) -> None:
    first = evaluated(about, models(1), 0.5)
    promoted = promote_best(tmp_path, "facemesh", "champion")
    assert (promoted.version, promoted.version_before, promoted.best.run) == (1, None, above(first))
    better = evaluated(about, models(2), 0.7)
    others = [evaluated(about, tmp_path / "model-1", 0.9, **{name: "other"}) for name in COMPARABLE]
    promoted = promote_best(tmp_path, "facemesh", "champion", like=above(first))
    assert (promoted.version, promoted.version_before, promoted.best.run) == (2, 1, above(better))
    assert [one.acc_emo for one in promoted.compared] == [0.7, 0.5]
    assert {one.run: one.reason for one in promoted.refused} == {
        above(run): f"differs in {word} (other)" for run, word in zip(others, COMPARABLE.values(), strict=True)
    }
    version = better.client.get_model_version_by_alias(NAME, "champion")
    model_id = tag(better, MODEL_TAG)
    assert version.source == f"models:/{model_id}"
    # once more, through the door: nothing moves, and no version is made
    said = json.loads(cmet("promote", "--like", above(first), "--json", cwd=tmp_path).stdout)
    assert (said["version"], said["version_before"], said["notes"]) == (2, 2, [])


def test_the_studio_offers_what_has_an_alias(about: About, tmp_path: Path, models: Callable[[int], Path]) -> None:
    evaluated(about, models(1), 0.5)
    assert RegisteredModels(tmp_path).listed() == ([], [])
    promote_best(tmp_path, "facemesh", "champion")
    (offered,), missing = RegisteredModels(tmp_path).listed()
    assert (offered.label, offered.backbone, missing) == ("cmet-facemesh@champion, in MLflow", "facemesh", [])
    assert offered.folder is not None
    assert content_digest(offered.folder) == content_digest(tmp_path / "model-1")


def test_of_equals_the_champion_stays_and_a_deleted_model_is_passed_over(
    about: About, tmp_path: Path, models: Callable[[int], Path]
) -> None:
    one, two = (evaluated(about, models(seed), 0.5) for seed in (1, 2))
    assert promote_best(tmp_path, "facemesh", "champion").best.run == above(one)
    client, model_id = one.client, tag(one, MODEL_TAG)
    promoted = promote_best(tmp_path, "facemesh", "champion")
    assert promoted.notes == [f"2 models share the best acc_emo; {model_id} is taken, which has the alias already"]
    client.delete_logged_model(model_id)
    promoted = promote_best(tmp_path, "facemesh", "champion")
    assert promoted.best.run == above(two)
    assert [one.reason for one in promoted.refused] == [f"its model {model_id} was deleted"]


def test_nothing_to_promote_is_one_sentence(about: About, tmp_path: Path, models: Callable[[int], Path]) -> None:
    with pytest.raises(UserError, match="^promote: no finished evaluation of facemesh in .*; run `dvc repro`"):
        promote_best(tmp_path, "facemesh", "champion")
    old = replace(about, stage="evaluate")
    with tracked_run(old) as parent, tracked_run(old, parent, {"cmet.method": "cmet"}):
        pass
    with pytest.raises(UserError, match="^promote: no evaluation says which rows, judge and corpus"):
        promote_best(tmp_path, "facemesh", "champion")
    run = evaluated(about, models(1), 0.5)
    with pytest.raises(UserError, match="^--like 123: no finished evaluation"):
        promote_best(tmp_path, "facemesh", "champion", like="123")
    run.client.delete_logged_model(tag(run, MODEL_TAG))
    with pytest.raises(UserError, match="^promote: none of 2 evaluation.* has a model to promote"):
        promote_best(tmp_path, "facemesh", "champion")
    assert run.client.search_registered_models() == []
