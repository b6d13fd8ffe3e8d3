"""Runs in MLflow, against a SQLite store in a temporary folder."""

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cmet.errors import UserError
from cmet.params import Params
from cmet.tracking.origin import Origin, environment_tags
from cmet.tracking.runs import (
    About,
    Run,
    default_store,
    download_file,
    find_run,
    find_run_page,
    runs_below,
    tracked_run,
)

ROOT = Path(__file__).parents[3]
INPUTS = {"data/shards/facemesh": "abc"}
DIGEST = "0123" * 8 + ".dir"
LOCK = f"stages:\n  shards@facemesh:\n    outs:\n    - {{path: data/shards/facemesh, md5: {DIGEST}}}\n"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Path]:
    """A project folder with a store."""
    root = tmp_path_factory.mktemp("project")
    shutil.copy(empty_store, root / "mlflow.db")
    (root / "dvc.lock").write_text(LOCK, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_RUN_ID", "dagster-1")
        patch.setenv("CMET_DAGSTER_PAGE", "http://lab:3001/")
        yield root


@pytest.fixture(scope="module")
def about(params: Params, root: Path) -> About:
    """A training; each test gives it a name of its own."""
    return About("train", "train", "facemesh", params, INPUTS, "code", root)


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


def test_a_run_keeps_metrics_params_and_where_it_comes_from(root: Path, about: About, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<p>report</p>", encoding="utf-8")
    with tracked_run(replace(about, name="train a")) as run:
        for step in (1, 2, 3):
            run.log_metrics(step, {"train/total": 1 / step})
        run.log_file(tmp_path / "page.html")
    logged = run.client.get_run(run.run_id)
    assert logged.info.status == "FINISHED"
    assert steps(run, "train/total") == [1, 2, 3]
    assert logged.data.params["train.network.hidden"] == str(about.params.train.network.hidden)
    assert logged.data.tags["cmet.stage"] == "train"
    assert logged.data.tags["cmet.input.data/shards/facemesh"] == "abc"
    assert logged.data.tags["dvc.data/shards/facemesh"] == DIGEST
    assert logged.data.tags["dagster.run_id"] == "dagster-1"
    assert [file.path for file in run.client.list_artifacts(run.run_id)] == ["environment.json", "page.html"]
    assert find_run("train", "facemesh", root) == run.run_id
    assert find_run("train", "another", root) is None
    assert logged.data.tags["mlflow.source.name"] == "train@facemesh"
    (dataset,) = [read.dataset for read in logged.inputs.dataset_inputs]
    assert (dataset.name, dataset.digest) == ("shards/facemesh", DIGEST)
    assert json.loads(dataset.source)["path"] == "data/shards/facemesh"
    assert "[Run in Dagster](http://lab:3001/runs/dagster-1)" in logged.data.tags["mlflow.note.content"]
    assert find_run_page("train", "facemesh", root) == f"http://localhost:5000/#/experiments/1/runs/{run.run_id}"
    assert run.client.get_experiment("1").tags["mlflow.experimentKind"] == "custom_model_development"


def test_a_run_is_called_by_what_is_special_in_its_parameters(
    about: About, empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    shutil.copytree(ROOT / "experiments", tmp_path / "experiments")
    short = about.params.train.model_copy(update={"num_steps": 300})
    special = replace(about, root=tmp_path, params=about.params.model_copy(update={"train": short, "seed": 8}))
    names = []
    for one, experiment in ((replace(about, root=tmp_path), ""), (special, ""), (special, "brave-lamb")):
        monkeypatch.setenv("DVC_EXP_NAME", experiment)
        with tracked_run(one) as run, runs_below(run, {}), tracked_run(replace(one, name="fold 1")) as below:
            names.append(run.client.get_run(run.run_id).info.run_name)
            assert run.client.get_run(below.run_id).info.run_name == "fold 1"
    assert names == ["train", "train seed=8 num_steps=300", "train seed=8 num_steps=300 (brave-lamb)"]
    tags = run.client.get_run(run.run_id).data.tags
    assert (tags["cmet.base"], tags["cmet.differs"]) == ("sample", "seed=8 num_steps=300")
    assert (tags["cmet.seed"], tags["cmet.held_out"], tags["dvc.exp_name"]) == ("8", "sad", "brave-lamb")


def test_what_people_wrote_about_a_run_stays_when_it_goes_on(about: About) -> None:
    failed = replace(about, name="train i")
    with pytest.raises(RuntimeError), tracked_run(failed) as first:
        first.client.set_tag(first.run_id, "mlflow.note.content", "mine")
        raise RuntimeError
    with tracked_run(failed) as second:
        pass
    assert second.run_id == first.run_id
    assert second.client.get_run(second.run_id).data.tags["mlflow.note.content"] == "mine"


def test_runs_below_another_have_its_tags_and_are_not_those_of_the_project(root: Path, about: About) -> None:
    tags, pdfgc = {"cmet.fold": "sad"}, replace(about, backbone="pdfgc")
    with tracked_run(replace(pdfgc, stage="unseen"), tags=tags) as fold:
        with (
            runs_below(fold, tags),
            tracked_run(pdfgc, tags={"cmet.seed": "1"}) as below,
        ):
            below.log_metrics(1, {"loss": 1.0})
        with tracked_run(replace(about, backbone="another")) as beside:
            beside.log_metrics(1, {"loss": 1.0})
    found = below.client.get_run(below.run_id).data.tags
    assert found["mlflow.parentRunId"] == fold.run_id
    assert (found["cmet.fold"], found["cmet.seed"]) == ("sad", "1")
    assert "mlflow.parentRunId" not in beside.client.get_run(beside.run_id).data.tags
    assert find_run("train", "pdfgc", root) is None


def test_a_run_that_raises_is_failed_and_its_repetition_goes_on_without_logging_twice(about: About) -> None:
    with pytest.raises(RuntimeError), tracked_run(replace(about, name="train b")) as first:
        for step in (1, 2, 3):
            first.log_metrics(step, {"loss": 1.0})
        raise RuntimeError("out of memory")
    assert first.client.get_run(first.run_id).info.status == "FAILED"

    with tracked_run(replace(about, name="train b")) as second:
        for step in (2, 3, 4):
            second.log_metrics(step, {"loss": 1.0})
    assert second.run_id == first.run_id
    assert steps(second, "loss") == [1, 2, 3, 4]
    assert second.client.get_run(second.run_id).info.status == "FINISHED"


def test_a_finished_run_is_not_gone_on_with(about: About) -> None:
    runs = []
    for _ in range(2):
        with tracked_run(replace(about, name="train c")) as run:
            runs.append(run.run_id)
    assert len(set(runs)) == 2


@pytest.mark.parametrize(
    "change", [{"inputs": {"data/shards/facemesh": "other"}}, {"code": "other"}, {"backbone": "other"}]
)
def test_a_run_that_failed_is_gone_on_with_only_by_one_about_the_same(about: About, change: dict[str, Any]) -> None:
    failed = replace(about, name=f"train h {next(iter(change))}")
    with pytest.raises(RuntimeError), tracked_run(failed) as first:
        raise RuntimeError
    with tracked_run(replace(failed, **change)) as other:
        pass
    with tracked_run(failed) as again:
        pass
    assert (other.run_id == first.run_id, again.run_id == first.run_id) == (False, True)


def test_a_run_says_what_it_was_computed_on(about: About, tmp_path: Path) -> None:
    with tracked_run(replace(about, name="train d")) as run:
        pass
    file = Path(run.client.download_artifacts(run.run_id, "environment.json", str(tmp_path)))
    environment = json.loads(file.read_text(encoding="utf-8"))
    tags = run.client.get_run(run.run_id).data.tags
    assert tags["cmet.version"] == environment["versions"]["cmet"]
    assert tags["cmet.torch"] == environment["versions"]["torch"]
    assert tags["cmet.git.commit"].startswith("none")
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
    assert environment_tags({"versions": {}, "torch": torch}).get("cmet.device") == device


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
    tags = Origin(tmp_path).tags({})
    assert len(tags["mlflow.source.git.commit"]) == 40
    assert tags["cmet.git.dirty"] == dirty


def test_a_download_in_the_repository_of_something_else_has_no_commit(tmp_path: Path) -> None:
    git(tmp_path, "init")
    (tmp_path / "code.py").touch()
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "one")
    (tmp_path / "download").mkdir()
    assert "mlflow.source.git.commit" not in Origin(tmp_path / "download").tags({})


def test_system_metrics_are_sampled_beside_the_metrics_of_a_run(
    about: About, often: None, capfd: pytest.CaptureFixture[str]
) -> None:
    with tracked_run(replace(about, name="train e"), system_metrics=True) as run:
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


def test_a_run_shorter_than_the_interval_has_one_sample_and_waits_for_no_other(
    about: About, monkeypatch: pytest.MonkeyPatch
) -> None:
    # whoever waited for the next sample would wait for an hour
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "3600")
    with tracked_run(replace(about, name="train f"), system_metrics=True) as run:
        pass
    assert steps(run, "system/cpu_utilization_percentage") == [0]


def test_system_metrics_end_with_a_run_that_raises_and_go_on_with_its_repetition(about: About, often: None) -> None:
    counts = [0]
    for _ in range(2):
        with (
            pytest.raises(RuntimeError),
            tracked_run(replace(about, name="train g"), system_metrics=True) as run,
        ):
            time.sleep(0.3)
            raise RuntimeError("out of memory")
        assert "SystemMetricsMonitor" not in {thread.name for thread in threading.enumerate()}
        assert run.client.get_run(run.run_id).info.status == "FAILED"
        sampled = steps(run, "system/cpu_utilization_percentage")
        assert sampled == list(range(len(sampled)))
        counts.append(len(sampled))
    assert counts[0] < counts[1] < counts[2]


def test_a_server_can_be_named_in_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert default_store(tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:5000")
    assert default_store(tmp_path) == "http://localhost:5000"


def test_a_store_lies_in_a_folder_of_any_name(about: About, tmp_path: Path) -> None:
    root = tmp_path / "José #1 100% %20 it's $x?y;z"
    root.mkdir()
    (root / "page.html").touch()
    with tracked_run(replace(about, root=root)) as run:
        run.log_file(root / "page.html")
    assert download_file(run.run_id, "page.html", root).is_file()
    assert {path.name for path in tmp_path.iterdir()} == {root.name}
    assert (root / "mlruns").is_dir()


def test_a_store_that_came_with_a_copied_project_is_refused(root: Path, about: About, tmp_path: Path) -> None:
    with tracked_run(about):
        pass
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("mlflow.db", "dvc.lock"):
        shutil.copy(root / name, copy)
    with (
        pytest.raises(UserError, match=rf"copy: mlflow.db belongs to a project elsewhere.*{root.name}/mlruns.*delete"),
        tracked_run(replace(about, root=copy)),
    ):
        pass
    assert not (copy / "mlruns").exists()
