"""Runs in MLflow, against a SQLite store in a temporary folder."""

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cmet.errors import UserError
from cmet.media.audio import write_audio
from cmet.media.video import write_video
from cmet.outputs import write_json
from cmet.params import EvaluateParams, Params, load_params
from cmet.scores.results import read_results, sample_ids, write_results
from cmet.scores.tables import measure
from cmet.tracking.runs import (
    Evaluated,
    Run,
    _environment_tags,
    _provenance,
    default_store,
    download_results,
    evaluation_metrics,
    find_run,
    log_evaluation,
    runs_below,
    tracked_run,
)
from tests.unit.scores.making import Said, results_of

INPUTS = {"data/shards/facemesh": "abc"}
LOCK = "stages:\n  shards@facemesh:\n    outs:\n    - {path: data/shards/facemesh, md5: 0123.dir}\n"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Path]:
    """A project folder with a store."""
    root = tmp_path_factory.mktemp("project")
    shutil.copy(empty_store, root / "mlflow.db")
    (root / "dvc.lock").write_text(LOCK, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_RUN_ID", "dagster-1")
        yield root


@pytest.fixture(scope="module")
def params() -> Params:
    """The default experiment."""
    return load_params(Path(__file__).parents[3] / "params.yaml")


def steps(run: Run, key: str) -> list[int]:
    """Steps a metric was logged at."""
    return [point.step for point in run.client.get_metric_history(run.run_id, key)]


def git(folder: Path, *arguments: str) -> None:
    """Run git as somebody."""
    name = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *name, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """System metrics are sampled all the time."""
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.01")


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
    assert [file.path for file in run.client.list_artifacts(run.run_id)] == ["environment.json", "page.html"]
    assert find_run("train", "facemesh", root) == run.run_id
    assert find_run("train", "another", root) is None


def test_runs_below_another_have_its_tags_and_are_not_those_of_the_project(root: Path, params: Params) -> None:
    tags = {"cmet.fold": "sad"}
    with tracked_run("without sad", "unseen", "pdfgc", params, INPUTS, root, tags=tags) as fold:
        with (
            runs_below(fold, tags),
            tracked_run("train", "train", "pdfgc", params, INPUTS, root, tags={"cmet.seed": "1"}) as below,
        ):
            below.log_metrics(1, {"loss": 1.0})
        with tracked_run("train", "train", "another", params, INPUTS, root) as beside:
            beside.log_metrics(1, {"loss": 1.0})
    found = below.client.get_run(below.run_id).data.tags
    assert found["mlflow.parentRunId"] == fold.run_id
    assert (found["cmet.fold"], found["cmet.seed"]) == ("sad", "1")
    assert "mlflow.parentRunId" not in beside.client.get_run(beside.run_id).data.tags
    assert find_run("train", "pdfgc", root) is None


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


def test_a_run_says_what_it_was_computed_on(root: Path, params: Params, tmp_path: Path) -> None:
    with tracked_run("train d", "train", "facemesh", params, INPUTS, root) as run:
        pass
    file = Path(run.client.download_artifacts(run.run_id, "environment.json", str(tmp_path)))
    environment = json.loads(file.read_text(encoding="utf-8"))
    tags = run.client.get_run(run.run_id).data.tags
    assert tags["cmet.version"] == environment["versions"]["cmet"]
    assert tags["cmet.torch"] == environment["versions"]["torch"]
    assert "mlflow.source.git.commit" not in tags
    assert "cmet.git.dirty" not in tags


@pytest.mark.parametrize(
    ("torch", "device"),
    [
        (None, None),
        ({"device": "cpu", "gpus": []}, "cpu"),
        ({"device": "cuda", "gpus": [{"name": "NVIDIA X"}, {"name": "NVIDIA Y"}]}, "NVIDIA X"),
    ],
)
def test_the_device_is_the_first_gpu_where_torch_sees_one(torch: dict | None, device: str | None) -> None:
    assert _environment_tags({"versions": {}, "torch": torch}).get("cmet.device") == device


@pytest.mark.parametrize(
    ("changed", "dirty"),
    [(None, "false"), ("new.py", "false"), ("dvc.lock", "false"), ("params.yaml", "false"), ("code.py", "true")],
)
def test_a_commit_is_dirty_when_tracked_files_that_the_run_does_not_record_have_changed(
    changed: str | None, dirty: str, tmp_path: Path
) -> None:
    git(tmp_path, "init")
    for name in ("code.py", "dvc.lock", "params.yaml"):
        (tmp_path / name).write_text("{}", encoding="utf-8")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "one")
    if changed:
        (tmp_path / changed).write_text("{a: b}", encoding="utf-8")
    tags = _provenance(tmp_path, {})
    assert len(tags["mlflow.source.git.commit"]) == 40
    assert tags["cmet.git.dirty"] == dirty


def test_system_metrics_are_sampled_beside_the_metrics_of_a_run(
    root: Path, params: Params, often: None, capfd: pytest.CaptureFixture[str]
) -> None:
    with tracked_run("train e", "train", "facemesh", params, INPUTS, root, system_metrics=True) as run:
        for step in range(100):
            run.log_metrics(step, {"loss": 1.0})
            # a transaction for every step, while the sampler has its own
            run.flush()
    assert steps(run, "loss") == list(range(100))
    sampled = steps(run, "system/cpu_utilization_percentage")
    assert len(sampled) > 1
    assert sampled == list(range(len(sampled)))
    logged = run.client.get_run(run.run_id)
    assert logged.info.status == "FINISHED"
    for name in ("system_memory_usage_percentage", "disk_usage_percentage", "network_receive_megabytes"):
        assert f"system/{name}" in logged.data.metrics
    output = capfd.readouterr()
    assert "system" not in (output.out + output.err).lower()
    assert "locked" not in output.err


def test_a_run_shorter_than_the_interval_has_one_sample_and_ends_at_once(root: Path, params: Params) -> None:
    with tracked_run("train f", "train", "facemesh", params, INPUTS, root, system_metrics=True) as run:
        began = time.monotonic()
    assert time.monotonic() - began < 2
    assert steps(run, "system/cpu_utilization_percentage") == [0]


def test_system_metrics_end_with_a_run_that_raises_and_go_on_with_its_repetition(
    root: Path, params: Params, often: None
) -> None:
    counts = [0]
    for _ in range(2):
        with (
            pytest.raises(RuntimeError),
            tracked_run("train g", "train", "facemesh", params, INPUTS, root, system_metrics=True) as run,
        ):
            time.sleep(0.3)
            raise RuntimeError("out of memory")
        assert "SystemMetricsMonitor" not in {thread.name for thread in threading.enumerate()}
        assert run.client.get_run(run.run_id).info.status == "FAILED"
        sampled = steps(run, "system/cpu_utilization_percentage")
        assert sampled == list(range(len(sampled)))
        counts.append(len(sampled))
    assert counts[0] < counts[1] < counts[2]


def test_methods_are_runs_of_one_parent_with_the_same_metrics(root: Path, params: Params, tmp_path: Path) -> None:
    said: Said = [("1", "happy", "happy"), ("2", "sad", "angry")]
    parts = [
        results_of(rows, method, is_held_out)
        for method in ("neutral", "cmet", "ground_truth")
        for rows, is_held_out in ((said, False), ([("1", "fear", "fear")], True))
    ]
    results = pd.concat(parts, ignore_index=True)
    results["row_id"] = results.row_id + results.emotion
    results["sample_id"] = sample_ids(results)
    folders = Evaluated(*(tmp_path / name for name in ("results", "edits", "clips", "model", "timing")))
    write_results(results, folders.results / "results.parquet")
    evaluate = EvaluateParams(metrics=[], num_bootstrap=50, confidence=0.9)
    write_json(folders.results / "metrics.json", measure(results, evaluate, 0))
    write_json(folders.timing / "timing.json", {"methods": {"cmet": {"seconds_per_video": 1.5}}})
    write_example(folders, results)
    write_json(folders.model / "config.json", {"step": 1})
    (folders.model / "connector.safetensors").write_bytes(b"weights")

    log_evaluation("facemesh", params, INPUTS, folders, root)

    parent = find_run("evaluate", "facemesh", root)
    from mlflow import MlflowClient

    client = MlflowClient(default_store(root))
    experiment = client.get_experiment_by_name("cmet").experiment_id
    children = client.search_runs(
        [experiment], f"tags.`mlflow.parentRunId` = '{parent}'", order_by=["metrics.acc_emo DESC"]
    )
    assert {run.data.tags["cmet.method"] for run in children} == {"neutral", "cmet", "ground_truth"}
    seconds = {run.data.tags["cmet.method"]: run.data.metrics.pop("seconds_per_video", None) for run in children}
    assert seconds == {"neutral": None, "cmet": 1.5, "ground_truth": None}
    assert len({frozenset(run.data.metrics) for run in children}) == 1
    assert children[0].data.metrics["acc_emo"] == 0.5
    assert children[0].data.metrics["acc_emo_held_out"] == 1.0
    figures = {file.path for file in client.list_artifacts(parent, "figures")}
    assert "figures/confusion-cmet.png" in figures
    strips = {file.path for file in client.list_artifacts(parent, "strips")}
    assert strips == {f"strips/{row}.mp4" for row in ("row0fear", "row0happy", "row1sad")}
    driven = next(run.info.run_id for run in children if run.data.tags["cmet.method"] == "cmet")
    assert {file.path for file in client.list_artifacts(driven, "clips")} == {"clips/cmet.mp4"}
    assert len(read_results(download_results(driven, root))) == 3 * 8
    (entry,) = client.search_logged_models([experiment], "name = 'cmet-facemesh'")
    assert {metric.key: metric.value for metric in entry.metrics}["acc_emo"] == 0.5


def write_example(folders: Evaluated, results: pd.DataFrame) -> None:
    """The files of the one row that is drawn as an example."""
    rows = results[(results.metric == "acc_emo") & (results.method != "ground_truth")]
    edits = rows[["row_id", "method", "speaker", "sentence", "emotion", "intensity", "is_held_out"]]
    edits = edits.assign(source_clip="source", target_clip="target", video=edits.method + ".mp4")
    folders.edits.mkdir()
    edits.to_parquet(folders.edits / "edits.parquet")
    for path in (
        folders.edits / "cmet.mp4", folders.edits / "neutral.mp4",
        folders.clips / "video/source.mp4", folders.clips / "video/target.mp4",
    ):  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, np.zeros((3, 64, 64, 3), np.uint8), 25)
    (folders.clips / "audio").mkdir()
    write_audio(folders.clips / "audio/source.wav", np.zeros(2000, np.float32), 16000)


def test_metrics_have_names_that_do_not_depend_on_the_backbone() -> None:
    scores = {
        "acc_emo": 0.5, "acc_emo_macro": 0.4, "interval": [0.3, 0.7], "coverage": 1.0, "n": 8,
        "per_emotion": {"happy": 0.5}, "per_level": {"level_2": 0.5},
        "metrics": {"fid/distribution": {"value": 9.0}, "sync_conf": {"value": None}},
    }  # fmt: skip
    assert evaluation_metrics(scores, {"acc_emo": 0.2, "metrics": {"lmd/face": {"value": 0.1}}}) == {
        "acc_emo": 0.5, "acc_emo_macro": 0.4, "acc_emo_low": 0.3, "acc_emo_high": 0.7, "coverage": 1.0, "n": 8,
        "acc_emo/happy": 0.5, "acc_emo/level_2": 0.5, "fid/distribution": 9.0,
        "acc_emo_held_out": 0.2, "lmd/face_held_out": 0.1,
    }  # fmt: skip


def test_a_server_can_be_named_in_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert default_store(tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:5000")
    assert default_store(tmp_path) == "http://localhost:5000"


def test_a_store_that_came_with_a_copied_project_is_refused(root: Path, params: Params, tmp_path: Path) -> None:
    with tracked_run("first", "train", "facemesh", params, INPUTS, root):
        pass
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("mlflow.db", "dvc.lock"):
        shutil.copy(root / name, copy)
    with (
        pytest.raises(UserError, match=rf"copy: mlflow.db is of a project elsewhere.*{root.name}/mlruns.*delete"),
        tracked_run("second", "train", "facemesh", params, INPUTS, copy),
    ):
        pass
    assert not (copy / "mlruns").exists()
