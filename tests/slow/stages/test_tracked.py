"""What MLflow gets of a stage, against a SQLite store in a temporary folder."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cmet.edits.product import sample_ids
from cmet.media.sound import write_sound
from cmet.media.video import write_video
from cmet.outputs import content_digest, write_json
from cmet.params import EvaluateParams, Params
from cmet.project import Project
from cmet.scores.results import RESULTS, read_results, write_results
from cmet.scores.tables import measure
from cmet.stages.tracked import track_evaluation
from cmet.stages.tracked_timing import track_timing
from cmet.stages.tracked_training import tracked_training
from cmet.tracking.runs import default_store, download_file, find_run
from tests.packing import pack_all
from tests.unit.conftest import TIMING
from tests.unit.editing.models import write_model
from tests.unit.scores.making import Said, judged, results_of


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, empty_store: Path, params: Params) -> Project:
    """A project with a store and some hand-made edits, scored."""
    root = tmp_path_factory.mktemp("project")
    shutil.copy(empty_store, root / "mlflow.db")
    data = root / "data"
    said: Said = [("1", "happy", "happy"), ("2", "sad", "angry")]
    parts = [
        results_of(rows, method, is_held_out)
        for method in ("neutral", "cmet", "ground_truth")
        for rows, is_held_out in ((said, False), ([("1", "fear", "fear")], True))
    ]
    results = pd.concat(parts, ignore_index=True)
    results["row_id"] = results.row_id + results.emotion
    results["sample_id"] = sample_ids(results)
    write_results(results, data / "evaluate/facemesh/results.parquet")
    evaluate = EvaluateParams(metrics=[], num_bootstrap=50, confidence=0.9)
    write_json(data / "evaluate/facemesh/metrics.json", judged(measure(results, evaluate, 0)))
    write_json(data / "judge/judge.json", {})
    (data / "train").mkdir(parents=True)
    write_model(data / "train/facemesh", "facemesh", 6, "opensmile", 88)
    write_edits(data, results)
    return Project.of(root, params)


def write_edits(data: Path, results: pd.DataFrame) -> None:
    """The same clips for all rows."""
    rows = results[(results.metric == "acc_emo") & (results.method != "ground_truth")]
    edits = rows[["row_id", "method", "speaker", "sentence", "emotion", "intensity", "is_held_out"]]
    edits = edits.assign(source_clip="source", target_clip="target", video=edits.method + "/clip.mp4")
    write_json(data / "edits/facemesh/protocol.json", {})
    edits.to_parquet(data / "edits/facemesh/edits.parquet")
    for name in ("edits/facemesh/cmet/clip", "edits/facemesh/neutral/clip", "clips/video/source", "clips/video/target"):
        path = data / f"{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, np.zeros((3, 64, 64, 3), np.uint8), 25)
    (data / "clips/audio").mkdir()
    write_sound(data / "clips/audio/source.wav", np.zeros(2000, np.float32), 16000)
    pack_all(data / "clips/video", data / "clips/audio")
    pd.DataFrame({"clip_id": ["source", "target"]}).to_parquet(data / "clips/clips.parquet")


def test_methods_are_runs_of_one_parent_with_the_same_metrics(project: Project) -> None:
    track_evaluation(project, "facemesh", "code")

    parent = find_run("evaluate", "facemesh", project.root)
    from mlflow import MlflowClient

    client = MlflowClient(default_store(project.root))
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
    strips = {file.path for file in client.list_artifacts(parent, "strips")}
    assert strips == {f"strips/{row}.mp4" for row in ("row0fear", "row0happy", "row1sad")}
    driven = next(run.info.run_id for run in children if run.data.tags["cmet.method"] == "cmet")
    assert {file.path for file in client.list_artifacts(driven, "clips")} == {"clips/clip.mp4"}
    assert len(read_results(download_file(driven, RESULTS, project.root))) == 3 * 8
    (entry,) = client.search_logged_models([experiment], "name = 'cmet-facemesh'")
    assert {metric.key: metric.value for metric in entry.metrics}["acc_emo"] == 0.5
    compared = client.get_run(driven).data.tags
    assert compared["cmet.rows"].startswith("2 ")  # without the emotion that was held out
    assert compared["cmet.corpus"].startswith("sample ")
    assert {"cmet.protocol", "cmet.judge", "cmet.model_id"} <= compared.keys()
    headline = client.get_run(parent).data
    assert (headline.metrics["acc_emo"], headline.metrics["acc_emo_held_out"]) == (0.5, 1.0)
    assert {"acc_emo_low", "acc_emo_high", "neutral/acc_emo", "ground_truth/acc_emo"} <= headline.metrics.keys()
    tags = headline.tags
    low, high = (headline.metrics[f"acc_emo_{end}"] for end in ("low", "high"))
    assert (tags["cmet.method"], tags["cmet.interval"]) == ("cmet", f"{low:.3f} - {high:.3f}")
    for name in ("edits/facemesh", "judge", "train/facemesh"):
        assert tags[f"cmet.input.data/{name}"] == content_digest(project.root / "data" / name)


def test_seconds_are_a_run_of_their_own_that_names_the_machine(project: Project) -> None:
    places = project.places
    timed = places.folder("timing", "facemesh") / "timed.json"
    write_json(timed, {"rows": ["1"]})
    write_json(
        places.measured("timing", "facemesh") / "timing.json", replace(TIMING, timed_sha256=content_digest(timed))
    )
    track_timing(project, "facemesh", "code")

    from mlflow import MlflowClient

    run_id = find_run("timing", "facemesh", project.root)
    run = MlflowClient(default_store(project.root)).get_run(run_id)
    assert run.data.metrics == {"seconds_per_video/cmet": 0.5, "seconds_per_video/neutral": 0.5}
    assert run.data.tags["cmet.processor"] == "a processor"
    assert run.data.tags["cmet.input.data/timing/facemesh"] == content_digest(timed.parent)


def test_a_training_is_bound_to_its_shards_and_the_backbone_behind_them(project: Project) -> None:
    for name in ("shards/facemesh/shards.json", "expression/facemesh/model/basis", "expression/facemesh/codes/clip"):
        path = project.root / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    with tracked_training(project, "facemesh", "code") as run:
        run.log_metrics(1, {"loss": 1.0})
    logged = run.client.get_run(run.run_id)
    inputs = {key.removeprefix("cmet.input.data/") for key in logged.data.tags if key.startswith("cmet.input.")}
    assert inputs == {"shards/facemesh", "expression/facemesh/model"}
    assert "system/cpu_utilization_percentage" in logged.data.metrics
