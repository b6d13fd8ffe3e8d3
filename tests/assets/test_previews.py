import re
from dataclasses import replace
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from assets.dvc_project import DvcStage
from assets.previews import FIRST_COLUMNS, PREVIEWS, LocalComputeLogManager, Picture, _mlflow, preview
from cmet.backbones.facemesh.basis import ExpressionBasis
from cmet.backbones.facemesh.mesh import NUM_FACE_POINTS
from cmet.outputs import content_digest, write_json
from cmet.project import Project
from cmet.report.summary import BackboneSummary, JudgeSummary, Labels, Summary
from cmet.scores.measured import Floor, HeldOut, Value
from cmet.shards import FORMAT, Shard, ShardList
from cmet.speech.product import Directions, DirectionsFacts
from cmet.stages.registry import STAGES
from cmet.vocabulary import GROUND_TRUTH, METHODS
from tests.assets.tiny_project import clip_table, make_project, write_grey_video, write_report, write_table
from tests.judge_card import CARD
from tests.packing import pack_all
from tests.unit.conftest import TIMED, TIMING
from tests.unit.report.making import LABELS
from tests.unit.scores.making import judged, numbers_of, scores_of

MAX_BYTES = 100_000


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


def shown(project: Project, name: str) -> dict:
    stage = DvcStage(name, "", (), ())
    metadata = preview(stage, project.root)
    # as Dagster takes it: an unknown type would be refused
    values = dg.MaterializeResult(metadata=metadata).metadata
    assert values is not None
    return {key: getattr(value, "value", value) for key, value in values.items()}


def test_every_stage_has_a_preview() -> None:
    assert set(PREVIEWS) == set(STAGES)


def test_a_stage_nobody_knows_shows_nothing(tmp_path: Path) -> None:
    assert preview(DvcStage("words@big", "", (), ()), tmp_path) == {}


def test_the_sample_shows_the_speakers_of_every_split(project: Project) -> None:
    corpus = project.places.folder("sample") / "corpus"
    corpus.mkdir(parents=True)
    for split, speakers in {"train": "M101\nW102\n", "val": "M103\n", "test": ""}.items():
        (corpus / f"{split}.txt").write_text(speakers)
    write_report(project, "sample", {"num_speakers": 3})
    metadata = shown(project, "sample")
    assert metadata["speakers"].splitlines()[2:] == ["| train | M101, W102 |", "| val | M103 |"]
    assert metadata["num_speakers"] == 3


def test_the_manifest_shows_what_was_not_wanted(project: Project) -> None:
    write_table(project, "manifest", "manifest.parquet", clip_table())
    write_report(project, "manifest", {"quarantined_by_reason": {}, "not_wanted_by_reason": {"bad_name": 2}})
    metadata = shown(project, "manifest")
    assert "| bad_name | 2 |" in metadata["not wanted"]
    assert metadata["dagster/row_count"] == 9


def test_names_are_shown_as_they_are_and_not_read_as_markdown(project: Project) -> None:
    clips = clip_table().replace({"speaker": {"M101": "a|b\nc"}, "sentence": {"001": "<b>[x](http://y.z)</b>"}})
    write_table(project, "manifest", "manifest.parquet", clips)
    write_report(project, "manifest", {"quarantined_by_reason": {"*x*": 1}, "not_wanted_by_reason": {}})
    metadata = shown(project, "manifest")
    rows = metadata["first_rows"].splitlines()
    assert {line.count("|") for line in rows} == {len(FIRST_COLUMNS) + 1}
    assert "| a&#124;b c |" in rows[2]
    assert not set("<>[]") & set(metadata["first_rows"])
    assert "*" not in metadata["quarantined"]


def test_quarantined_files_are_listed_with_their_reasons_and_the_rest_is_counted(project: Project) -> None:
    clips = clip_table().assign(video=[f"raw/{number}<b>.mp4" for number in range(9)])
    lost = pd.concat([clips.assign(status="quarantined", reason="silent: -80 dB")] * 3, ignore_index=True)
    write_table(project, "manifest", "manifest.parquet", pd.concat([clips, lost], ignore_index=True))
    write_report(project, "manifest", {"quarantined_by_reason": {"silent": 27}, "not_wanted_by_reason": {}})
    rows = shown(project, "manifest")["quarantined files"].splitlines()[2:]
    assert rows[0] == "| raw/0&#60;b&#62;.mp4 | silent: -80 dB |"
    assert (len(rows), rows[-1]) == (21, "| and 7 more |  |")


def test_a_stage_without_a_table_of_all_clips_lists_what_it_has_lost(project: Project) -> None:
    vectors = pd.DataFrame({"clip_id": ["a"], "embedding": [[3.0, 4.0]]})
    write_table(project, "speech", "embeddings.parquet", vectors, "opensmile")
    (project.places.folder("speech", "opensmile") / "quarantine.csv").write_text("clip_id,reason\nb,no_sound: none\n")
    write_report(project, "speech", {"quarantined_by_reason": {"no_sound": 1}}, "opensmile")
    assert "| b | no_sound: none |" in shown(project, "speech@opensmile")["quarantined files"]


def test_speech_shows_how_long_the_vectors_are(project: Project) -> None:
    vectors = pd.DataFrame({"clip_id": ["a", "b"], "embedding": [[3.0, 4.0], [0.0, 1.0]]})
    write_table(project, "speech", "embeddings.parquet", vectors, "opensmile")
    write_report(project, "speech", {"num_clips": 2, "quarantined_by_reason": {}}, "opensmile")
    metadata = shown(project, "speech@opensmile")
    assert (metadata["mean_length"], metadata["dagster/row_count"]) == (3.0, 2)


def test_directions_show_the_accuracy_of_every_encoder(project: Project) -> None:
    folder = project.places.folder("directions")
    found = Directions(
        "opensmile", 0.5, 0.25, num_clips=8, num_speakers=2, per_emotion={"angry": 0.5}, lda_accuracy=0.75
    )
    write_json(folder / "directions.json", DirectionsFacts("nearest", {"opensmile": found}))
    (folder / "directions.md").write_text("| a table |")
    assert shown(project, "directions") == {"table": "| a table |", "accuracy/opensmile": 0.5}


@pytest.mark.parametrize("is_released", [False, True])
def test_a_judge_says_who_it_is_and_a_released_one_has_no_curve(project: Project, is_released: bool) -> None:
    history = pd.DataFrame(
        [(1, "train", "acc", 0.5), (2, "train", "acc", 0.75)], columns=["step", "split", "metric", "value"]
    )
    write_table(project, "judge", "history.parquet", history.head(0) if is_released else history)
    released = {"source": "released checkpoint", "trained_on": "MEAD"} if is_released else {}
    write_json(project.places.folder("judge") / "judge.json", CARD.model_dump() | released)
    write_report(project, "judge", {"acc_val": 0.5})
    metadata = shown(project, "judge")
    assert ("curve" in metadata) != is_released
    assert metadata["trained_on"].startswith("MEAD" if is_released else "sample, 3 unedited clips")
    assert (metadata["classes"], metadata["acc_val"]) == ("fear, happy, sad", 0.5)


def test_clips_show_counts_quarantine_and_a_picture_of_every_speaker_and_emotion(project: Project) -> None:
    clips = clip_table()
    clips.loc[0, ["status", "reason"]] = ["quarantined", "silent: -80 dB"]
    write_table(project, "clips", "clips.parquet", clips)
    write_report(project, "clips", {"num_clips": 8, "duration_s": 2.5, "quarantined_by_reason": {"silent": 1}})
    for clip_id in clips.clip_id[1:]:
        write_grey_video(project.places.folder("clips") / "video" / f"{clip_id}.mp4", 120)
    pack_all(project.places.folder("clips") / "video")
    metadata = shown(project, "clips")
    assert (metadata["num_clips"], metadata["duration_s"]) == (8, 2.5)
    assert "| neutral | 1 | 1 | 1 | 3 |" in metadata["clips"]
    assert "| angry | 0 | 1 | 1 | 2 |" in metadata["clips"]
    assert "| silent | 1 |" in metadata["quarantined"]
    assert metadata["contact_sheet"].startswith("![](data:image/jpeg;base64,")
    assert len(metadata["contact_sheet"]) < MAX_BYTES


def test_a_picture_lies_among_the_logs_and_its_address_is_short_enough_to_be_shown_at_once(tmp_path: Path) -> None:
    logs = LocalComputeLogManager(str(tmp_path))
    shown = str(Picture(b"pixels", "png").shown(logs).value)
    address = re.fullmatch(r"!\[\]\(/logs/(.+)/(.+)/png\)", shown)
    assert address is not None
    # as the page of Dagster finds it
    assert Path(logs.get_captured_local_path(list(address.groups()), "png")).read_bytes() == b"pixels"
    assert str(Picture(b"pixels", "png").shown(None).value) == "![](data:image/png;base64,cGl4ZWxz)"


def test_what_is_done_is_shown_whatever_stands_in_params(project: Project) -> None:
    write_report(project, "shards", {"num_pairs": 4}, "facemesh")
    write_json(
        project.places.folder("shards", "facemesh") / "shards.json",
        ShardList(FORMAT, dict.fromkeys(("train", "val", "test", "unpaired"), [])),
    )
    (project.root / "params.yaml").write_text("seed: [7")
    assert shown(project, "shards@facemesh")["num_pairs"] == 4


def test_clips_without_a_picture_have_no_contact_sheet(project: Project) -> None:
    write_table(project, "clips", "clips.parquet", clip_table().assign(num_frames=np.nan))
    write_report(project, "clips", {"num_clips": 9, "quarantined_by_reason": {}})
    metadata = shown(project, "clips")
    assert "contact_sheet" not in metadata
    assert "quarantined" not in metadata


def test_expression_shows_what_the_basis_explains(project: Project) -> None:
    folder = project.places.folder("expression", "facemesh")
    for name in ("codes", "model"):
        (folder / name).mkdir(parents=True)
    size = 2 * NUM_FACE_POINTS
    template, mean, gain = np.zeros((NUM_FACE_POINTS, 3)), np.zeros(size), np.ones(NUM_FACE_POINTS)
    explained = np.array([0.75, 0.125])
    ExpressionBasis(template, mean, np.zeros((size, 2)), np.zeros((2, size)), explained, gain).save(folder / "model")
    write_report(project, "expression", {"face_ratio": 0.998, "quarantined_by_reason": {}}, "facemesh")
    metadata = shown(project, "expression@facemesh")
    assert metadata["explained"] == pytest.approx(0.875)
    assert "| 2 | 0.125 | 0.875 |" in metadata["components"]


def test_deltas_show_cosines_and_pairs_and_leave_out_what_is_unknown(project: Project) -> None:
    report = {
        "num_pairs": 3,
        "unpaired_reasons": {"no speech embedding": 2},
        "pairs_per_split_and_emotion": {"train": {"sad": 1, "angry": 1}, "test": {"angry": 1}},
        "speech_cosine_same_emotion": 0.5,
        "speech_cosine_other_emotion": None,
        "expression_cosine_same_emotion": 0.75,
        "expression_cosine_other_emotion": 0.25,
    }
    write_report(project, "deltas", report, "facemesh")
    metadata = shown(project, "deltas@facemesh")
    assert "| speech | 0.500 |  |" in metadata["cosines"]
    assert "| sad | 1 | 0 |" in metadata["pairs"]
    assert "speech_cosine_other_emotion" not in metadata


def test_shards_show_the_tars_of_every_split(project: Project) -> None:
    folder = project.places.folder("shards", "facemesh")
    tars = [Shard("train/000000.tar", 3, 2**20, "0" * 64), Shard("train/000001.tar", 1, 2**19, "1" * 64)]
    write_json(folder / "shards.json", ShardList(FORMAT, {"train": tars, "val": [], "test": [], "unpaired": []}))
    write_report(project, "shards", {"num_pairs": 4, "num_shards": 2}, "facemesh")
    assert "| train | 2 | 4 | 1.500 |" in shown(project, "shards@facemesh")["shards"]


def test_edits_show_every_method_of_one_row_per_emotion(project: Project) -> None:
    folder = project.places.folder("edits", "facemesh")
    rows = [
        {
            "row_id": row_id,
            "speaker": "M103",
            "emotion": "angry",
            "intensity": 1,
            "method": method,
            "status": "ok",
            "reason": None,
            "video": f"{method}/{row_id}.mp4",
        }
        for method in METHODS
        for row_id in ("one", "two")
    ]
    edits = pd.DataFrame(rows)
    edits.loc[3, ["status", "reason", "video"]] = ["failed", "no_reference: none", None]
    write_table(project, "edits", "edits.parquet", edits, "facemesh")
    write_json(folder / "protocol.json", {})
    write_report(project, "edits", {"num_rows": 2}, "facemesh")
    for number, method in enumerate(METHODS):
        write_grey_video(folder / method / "one.mp4", 50 * number)
    metadata = shown(project, "edits@facemesh")
    assert "| no_reference | 1 |" in metadata["failed"]
    assert "| reference | 1 | 1 |" in metadata["rows"]
    assert len(metadata["examples"]) < MAX_BYTES


def test_evaluate_shows_accuracies_as_numbers_table_and_pictures(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = "http://tracking:80/#/experiments/1/runs/abc"
    monkeypatch.setattr("cmet.tracking.runs.find_run_page", lambda stage, backbone, root: page)
    methods = {name: scores_of(0.5) for name in (*METHODS, GROUND_TRUTH)}
    methods["cmet"] = replace(methods["cmet"], metrics={"lmd/face": Value(0.0123, (0.01, 0.02), 10, 0)})
    held_out = HeldOut("disgusted", 0.4, (0.3, 0.5), 10, 1 / 7, {"cmet": scores_of(0.4)})
    metrics = judged(numbers_of(methods, held_out), {"fid": "no weights"})
    write_json(project.places.folder("evaluate", "facemesh") / "metrics.json", metrics)
    metadata = shown(project, "evaluate@facemesh")
    assert (metadata["acc_emo/cmet"], metadata["acc_emo_held_out"]) == (0.5, 0.4)
    assert "| cmet | 0.400 | 0.300 | 0.500 | 10 | 0 |" in metadata["accuracy, held out: disgusted"]
    methods_shown = [line.split()[1] for line in metadata["accuracy"].splitlines()[2:]]
    assert methods_shown == [*METHODS, GROUND_TRUTH]
    assert "| lmd/face |  |  | 0.012 |  |" in metadata["metrics"]
    assert "| fid | no weights |" in metadata["absent"]
    assert metadata["mlflow"] == page
    assert all(len(metadata[name]) < MAX_BYTES for name in ("methods", "emotions", "confusion"))


def test_a_store_of_runs_that_does_not_answer_takes_nothing_but_the_link(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert _mlflow("train", "facemesh", project) == {}


def test_timing_shows_seconds_by_method_and_part(project: Project) -> None:
    timed = replace(TIMED, seconds_per_video=1.5, sd=0.5, parts={"read": 0.5, "render": 1.0})
    edits = project.places.folder("timing", "facemesh") / "timed.json"
    write_json(edits, {})
    # DVC had them in its cache
    assert list(shown(project, "timing@facemesh")) == ["not_measured"]
    timing = replace(TIMING, timed_sha256=content_digest(edits), methods={"cmet": timed})
    write_json(project.places.measured("timing", "facemesh") / "timing.json", timing)
    metadata = shown(project, "timing@facemesh")
    assert metadata["seconds_per_video/cmet"] == 1.5
    assert "| cmet | 1.500 | 0.500 | 0.500 | 1.000 |" in metadata["table"]
    assert metadata["measured_on"] == "cpu, 2 threads, after 1 clip(s) of warm-up"


def test_report_shows_where_the_page_is(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REPORTS_PAGE", raising=False)
    folder = project.places.folder("report")
    folder.mkdir()
    (folder / "index.html").write_text("<html></html>")
    labels = Labels(**vars(LABELS), comparability="own-protocol", comparability_reasons=[])
    parts = BackboneSummary({"cmet": scores_of(0.5)}, scores_of(0.9), None, {}, Floor(0.2, "angry"), 2, labels)
    judge = JudgeSummary(0.9, 1.0, None, "f" * 64, "sample")
    write_json(folder / "summary.json", Summary({"facemesh": parts}, judge, 1 / 7, 0.95, 7, True))
    metadata = shown(project, "report")
    assert metadata["page"] == str(folder / "index.html")
    monkeypatch.setenv("REPORTS_PAGE", "http://127.0.0.1:4000")
    assert shown(project, "report")["page"] == "http://127.0.0.1:4000/index.html"
    assert "| ground_truth | 0.900 |" in metadata["accuracy/facemesh"]
