from dataclasses import replace
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from assets.checks import (
    CHECKS,
    asset_check,
    check_evaluations,
    cmet_beats_no_edit,
    every_emotional_clip_has_a_neutral,
    every_method_edited_every_row,
    every_split_has_speakers,
    faces_are_found,
    few_clips_are_quarantined,
    held_out_emotion_is_not_in_training_shards,
    judge_is_better_than_chance,
    judge_never_saw_test_speakers,
    prediction_beats_the_mean_change,
    speakers_do_not_cross_splits,
)
from assets.dvc_project import DvcProject, DvcStage
from cmet.errors import UserError
from cmet.outputs import write_json
from cmet.project import Project
from cmet.scores.measured import Gain
from tests.assets.tiny_project import clip_table, make_project, pair_table, write_report, write_table
from tests.judge_card import CARD
from tests.unit.scores.making import judged, numbers_of


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


def test_speakers_do_not_cross_splits(project: Project) -> None:
    clips = clip_table()
    write_table(project, "manifest", "manifest.parquet", clips)
    assert speakers_do_not_cross_splits(project).is_true
    clips.loc[clips.clip_id == "M101-angry", "split"] = "test"
    write_table(project, "manifest", "manifest.parquet", clips)
    fact = speakers_do_not_cross_splits(project)
    assert (fact.is_true, fact.description) == (False, "3 speakers, some in several splits: M101")


@pytest.mark.parametrize(("splits", "is_true"), [(("train", "val", "test"), True), (("train", "test"), False)])
def test_every_split_has_speakers(project: Project, splits: tuple[str, ...], is_true: bool) -> None:
    clips = clip_table()
    write_table(project, "manifest", "manifest.parquet", clips[clips.split.isin(splits)])
    assert every_split_has_speakers(project).is_true is is_true


@pytest.mark.parametrize(("num_bad", "is_true"), [(0, True), (1, False)])
def test_few_clips_are_quarantined(project: Project, num_bad: int, is_true: bool) -> None:
    clips = clip_table()
    clips.loc[: num_bad - 1, "status"] = "quarantined"
    write_table(project, "clips", "clips.parquet", clips)
    # one of nine is more than the twentieth that params.yaml allows
    assert few_clips_are_quarantined(project).is_true is is_true


@pytest.mark.parametrize(("ratio", "is_true"), [(0.995, True), (0.985, False)])
def test_faces_are_found(project: Project, ratio: float, is_true: bool) -> None:
    write_report(project, "expression", {"face_ratio": ratio}, "facemesh")
    assert faces_are_found(project, "facemesh").is_true is is_true


def test_every_emotional_clip_has_a_neutral(project: Project) -> None:
    clips = clip_table()
    pairs = pair_table(clips)
    write_table(project, "clips", "clips.parquet", clips)
    write_table(project, "deltas", "pairs.parquet", pairs, "facemesh")
    assert every_emotional_clip_has_a_neutral(project, "facemesh").is_true
    write_table(project, "deltas", "pairs.parquet", pairs[1:], "facemesh")
    fact = every_emotional_clip_has_a_neutral(project, "facemesh")
    assert (fact.is_true, fact.numbers) == (False, {"num_alone": 1})
    assert "M101-angry" in fact.description


@pytest.mark.parametrize(("splits", "is_true"), [(("test",), True), (("train", "test"), False), (("val",), False)])
def test_held_out_emotion_is_not_in_training_shards(project: Project, splits: tuple[str, ...], is_true: bool) -> None:
    pairs = pair_table(clip_table())
    assert project.params.held_out_emotion == "disgusted"
    packed = pairs[(pairs.emotion == "angry") | pairs.split.isin(splits)]
    index = packed[["pair_id", "split"]].rename(columns={"pair_id": "key"})
    write_table(project, "deltas", "pairs.parquet", pairs, "facemesh")
    write_table(project, "shards", "index.parquet", index, "facemesh")
    # what it lists is not looked at
    write_json(project.places.folder("shards", "facemesh") / "shards.json", {})
    assert held_out_emotion_is_not_in_training_shards(project, "facemesh").is_true is is_true


@pytest.mark.parametrize(
    ("validation", "is_true"),
    [
        ({"delta_mse": 0.1, "delta_mse_mean": 0.2}, True),
        ({"delta_mse": 0.3, "delta_mse_mean": 0.2}, False),
        ({}, False),
    ],
)
def test_prediction_beats_the_mean_change(project: Project, validation: dict[str, float], is_true: bool) -> None:
    write_report(project, "train", {"validation": validation}, "facemesh")
    assert prediction_beats_the_mean_change(project, "facemesh").is_true is is_true


@pytest.mark.parametrize(("speakers", "is_true"), [(["M101"], True), (["M101", "M103"], False)])
def test_judge_never_saw_test_speakers(project: Project, speakers: list[str], is_true: bool) -> None:
    write_table(project, "clips", "clips.parquet", clip_table())
    write_json(project.places.folder("judge") / "judge.json", CARD.model_dump() | {"train_speakers": speakers})
    assert judge_never_saw_test_speakers(project).is_true is is_true


@pytest.mark.parametrize(
    ("num_clips", "accuracy", "is_true"), [(70, 0.30, True), (70, 0.20, False), (7, 0.30, False), (0, None, False)]
)
def test_judge_is_better_than_chance(project: Project, num_clips: int, accuracy: float | None, is_true: bool) -> None:
    write_report(project, "judge", {"num_val_clips": num_clips, "acc_val": accuracy})
    assert judge_is_better_than_chance(project).is_true is is_true


def test_every_method_edited_every_row(project: Project) -> None:
    edits = pd.DataFrame({"row_id": ["a", "a"], "method": ["neutral", "cmet"], "status": ["ok", "ok"]})
    write_table(project, "edits", "edits.parquet", edits, "facemesh")
    write_json(project.places.folder("edits", "facemesh") / "protocol.json", {})
    assert every_method_edited_every_row(project, "facemesh").is_true
    write_table(project, "edits", "edits.parquet", edits.assign(status=["ok", "failed"]), "facemesh")
    fact = every_method_edited_every_row(project, "facemesh")
    assert (fact.is_true, fact.description) == (False, "1 rows; neutral 1, cmet 0")


@pytest.mark.parametrize(("low", "is_true"), [(0.1, True), (-0.1, False)])
def test_cmet_beats_no_edit(project: Project, low: float, is_true: bool) -> None:
    numbers = replace(numbers_of({}), comparisons={"cmet-neutral": Gain(0.2, (low, 0.3))})
    write_json(project.places.folder("evaluate", "facemesh") / "metrics.json", judged(numbers))
    assert cmet_beats_no_edit(project, "facemesh").is_true is is_true


def test_a_check_of_a_stage_that_has_not_run_is_an_error(project: Project) -> None:
    with pytest.raises(UserError, match="run `dvc repro manifest`"):
        speakers_do_not_cross_splits(project)


def test_a_half_edited_params_file_fails_no_run_whose_stage_is_done(project: Project) -> None:
    write_table(project, "clips", "clips.parquet", clip_table())
    write_table(project, "manifest", "manifest.parquet", clip_table())
    (project.root / "params.yaml").write_text("seed: [7")
    found = {}
    for name in ("manifest", "clips"):
        stage = DvcStage(name, "", (), ())

        @dg.asset(key=stage.key)
        def made() -> None:
            """It is there already."""

        checks = [asset_check(check, stage) for check in CHECKS[name]]
        with dg.DagsterInstance.ephemeral(settings={"telemetry": {"enabled": False}}) as instance:
            resources = {"project": DvcProject(root=str(project.root))}
            result = dg.materialize([made, *checks], instance=instance, resources=resources)
        found |= {check.check_name: check for check in result.get_asset_check_evaluations()}
    # only one of them needs a parameter
    assert {name for name, check in found.items() if not check.passed} == {"few_clips_are_quarantined"}
    assert found["few_clips_are_quarantined"].severity == dg.AssetCheckSeverity.WARN
    assert "not looked at: " in (found["few_clips_are_quarantined"].description or "")


def test_a_false_blocking_fact_stops_what_comes_after(project: Project) -> None:
    clips = clip_table().assign(speaker="<b>")
    stage = DvcStage("manifest", "", (), ())
    ran = []

    @dg.asset(key=stage.key)
    def manifest() -> None:
        write_table(project, "manifest", "manifest.parquet", clips)

    @dg.asset(deps=[stage.key])
    def after() -> None:
        ran.append("after")

    checks = [asset_check(check, stage) for check in CHECKS["manifest"]]
    with dg.DagsterInstance.ephemeral(settings={"telemetry": {"enabled": False}}) as instance:
        result = dg.materialize(
            [manifest, after, *checks],
            instance=instance,
            resources={"project": DvcProject(root=str(project.root))},
            raise_on_error=False,
        )
    found = result.get_asset_check_evaluations()
    passed = {check.check_name: check.passed for check in found}
    assert passed == {"speakers_do_not_cross_splits": False, "every_split_has_speakers": True}
    assert any("&#60;b&#62;" in (check.description or "") for check in found)
    assert not result.success
    assert not ran


def test_checks_of_what_a_terminal_has_made_are_reported_without_a_run(project: Project) -> None:
    clips = clip_table()
    write_table(project, "manifest", "manifest.parquet", clips[clips.split != "test"])
    with dg.DagsterInstance.ephemeral(settings={"telemetry": {"enabled": False}}) as instance:
        for evaluation in check_evaluations(DvcStage("manifest", "", (), ()), project.root):
            instance.report_runless_asset_event(evaluation)
        latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(
            [dg.AssetCheckKey(dg.AssetKey("manifest"), check.name) for check in CHECKS["manifest"]]
        )
    assert {key.name: record.status.value for key, record in latest.items()} == {
        "speakers_do_not_cross_splits": "SUCCEEDED",
        "every_split_has_speakers": "FAILED",
    }
