"""Runs in MLflow, against a SQLite store in a temporary folder."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from cmet.evaluation.scores import measure
from cmet.outputs import write_json
from cmet.params import EvaluateParams, Params, load_params
from cmet.tracking import Run, default_store, evaluation_metrics, find_run, log_evaluation, tracked_run

INPUTS = {"data/shards/facemesh": "abc"}
LOCK = "stages:\n  shards@facemesh:\n    outs:\n    - {path: data/shards/facemesh, md5: 0123.dir}\n"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project folder whose store has its tables; making them takes seconds."""
    root = tmp_path_factory.mktemp("project")
    (root / "dvc.lock").write_text(LOCK, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("DAGSTER_RUN_ID", "dagster-1")
        yield root


@pytest.fixture(scope="module")
def params() -> Params:
    """The default experiment."""
    return load_params(Path(__file__).parents[2] / "params.yaml")


def steps(run: Run, key: str) -> list[int]:
    """Steps a metric was logged at."""
    return [point.step for point in run.client.get_metric_history(run.run_id, key)]


def test_a_run_keeps_metrics_params_and_where_it_comes_from(root: Path, params: Params, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<p>report</p>", encoding="utf-8")
    with tracked_run("train a", "train", "facemesh", params, INPUTS, root) as run:
        for step in (1, 2, 3):
            run.log_metrics(step, {"train/total": 1 / step})
        run.log_file(tmp_path / "page.html")
    logged = run.client.get_run(run.run_id)
    assert logged.info.status == "FINISHED"
    assert steps(run, "train/total") == [1, 2, 3]
    assert logged.data.params["train.network.hidden"] == str(params.train.network.hidden)
    assert logged.data.tags["cmet.stage"] == "train"
    assert logged.data.tags["cmet.input.data/shards/facemesh"] == "abc"
    assert logged.data.tags["dvc.data/shards/facemesh"] == "0123.dir"
    assert logged.data.tags["dagster.run_id"] == "dagster-1"
    assert [file.path for file in run.client.list_artifacts(run.run_id)] == ["page.html"]
    assert find_run("train", "facemesh", root) == run.run_id
    assert find_run("train", "another", root) is None


def test_a_run_that_raises_is_failed_and_its_repetition_goes_on_without_logging_twice(
    root: Path, params: Params
) -> None:
    with pytest.raises(RuntimeError), tracked_run("train b", "train", "facemesh", params, INPUTS, root) as first:
        for step in (1, 2, 3):
            first.log_metrics(step, {"loss": 1.0})
        raise RuntimeError("out of memory")
    assert first.client.get_run(first.run_id).info.status == "FAILED"

    with tracked_run("train b", "train", "facemesh", params, INPUTS, root) as second:
        for step in (2, 3, 4):
            second.log_metrics(step, {"loss": 1.0})
    assert second.run_id == first.run_id
    assert steps(second, "loss") == [1, 2, 3, 4]
    assert second.client.get_run(second.run_id).info.status == "FINISHED"


def test_other_inputs_or_a_finished_run_begin_a_new_one(root: Path, params: Params) -> None:
    runs = []
    for inputs in (INPUTS, INPUTS, {"data/shards/facemesh": "other"}):
        with tracked_run("train c", "train", "facemesh", params, inputs, root) as run:
            runs.append(run.run_id)
    assert len(set(runs)) == 3


def test_methods_are_runs_of_one_parent_with_the_same_metrics(root: Path, params: Params, tmp_path: Path) -> None:
    columns = ["row_id", "sentence", "emotion", "predicted", "is_held_out"]
    rows = pd.DataFrame(
        [("r1", "1", "happy", "happy", False), ("r2", "2", "sad", "angry", False), ("r3", "1", "fear", "fear", True)],
        columns=columns,
    ).assign(speaker="S", intensity=2)
    rows["correct"] = rows["emotion"] == rows["predicted"]
    predictions = pd.concat([rows.assign(method=method) for method in ("neutral", "cmet", "ground_truth")])
    evaluation, model = tmp_path / "evaluation", tmp_path / "model"
    write_json(evaluation / "metrics.json", measure(predictions, EvaluateParams(num_bootstrap=50, confidence=0.9), 0))
    predictions.to_parquet(evaluation / "predictions.parquet")
    write_json(model / "config.json", {"step": 1})
    (model / "connector.safetensors").write_bytes(b"weights")

    log_evaluation("facemesh", params, INPUTS, evaluation, model, root)

    parent = find_run("evaluate", "facemesh", root)
    from mlflow import MlflowClient

    client = MlflowClient(default_store(root))
    experiment = client.get_experiment_by_name("cmet").experiment_id
    children = client.search_runs(
        [experiment], f"tags.`mlflow.parentRunId` = '{parent}'", order_by=["metrics.acc_emo DESC"]
    )
    assert {run.data.tags["cmet.method"] for run in children} == {"neutral", "cmet", "ground_truth"}
    assert len({frozenset(run.data.metrics) for run in children}) == 1
    assert children[0].data.metrics["acc_emo"] == 0.5
    assert children[0].data.metrics["acc_emo_held_out"] == 1.0
    figures = {file.path for file in client.list_artifacts(parent, "figures")}
    assert "figures/confusion-cmet.png" in figures
    (entry,) = client.search_logged_models([experiment], "name = 'cmet-facemesh'")
    assert {metric.key: metric.value for metric in entry.metrics}["acc_emo"] == 0.5


def test_metrics_have_names_that_do_not_depend_on_the_backbone() -> None:
    scores = {
        "acc_emo": 0.5, "acc_emo_macro": 0.4, "interval": [0.3, 0.7], "coverage": 1.0, "n": 8,
        "per_emotion": {"happy": 0.5}, "per_level": {"level_2": 0.5},
    }  # fmt: skip
    assert evaluation_metrics(scores, {"acc_emo": 0.2}) == {
        "acc_emo": 0.5, "acc_emo_macro": 0.4, "acc_emo_low": 0.3, "acc_emo_high": 0.7, "coverage": 1.0, "n": 8,
        "acc_emo/happy": 0.5, "acc_emo/level_2": 0.5, "acc_emo_held_out": 0.2,
    }  # fmt: skip


def test_a_server_can_be_named_in_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert default_store(tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:5000")
    assert default_store(tmp_path) == "http://localhost:5000"
