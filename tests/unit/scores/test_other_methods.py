"""Clips of other methods, scored as ours are."""

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from cmet.cli import app
from cmet.errors import UserError
from cmet.judge.classifier import Judge
from cmet.packs import unpack_file
from cmet.params import EvaluateParams
from cmet.scores import other_methods
from cmet.scores.other_methods import (
    answer_table,
    check_method,
    check_results_folder,
    same_rows,
    score_manifest,
    scored_table,
    video_answers,
)
from cmet.scores.other_results import ScoredManifest, read_scored
from cmet.scores.results import answers, read_results, write_results
from cmet.vocabulary import TARGET_EMOTIONS
from tests.unit.conftest import ROOT, Tiny

PARAMS = EvaluateParams(metrics=[], num_bootstrap=50, confidence=0.9)


def write_manifest(tiny: Tiny, path: Path, **columns: str) -> Path:
    """The `cmet` edits of the tiny project as somebody else's, one of them missing."""
    edits = tiny.edits.table.query("method == 'cmet'")
    rows = pd.DataFrame(
        {
            "source_video_path": [unpack_file(tiny.clips.video(clip), path.parent) for clip in edits.source_clip],
            "gt_video_path": [unpack_file(tiny.clips.video(clip), path.parent) for clip in edits.target_clip],
            "gt_emotion": edits.emotion,
            "intensity": "level_2",
            "generated_path": [tiny.edits.folder / f"cmet/{row}.mp4" for row in edits.row_id],
            "speaker": edits.speaker,
            "sentence": edits.sentence,
            "id": edits.row_id,
        }
    )
    rows.assign(**columns).to_csv(path, index=False)
    return path


def score(tiny: Tiny, folder: Path, method: str | None = "Mine") -> ScoredManifest:
    manifest = write_manifest(tiny, folder / "mine.csv")
    judge = Judge.load(tiny.judge.folder)
    return score_manifest(manifest, None, method, judge, folder, PARAMS, 0, folder / "scores/mine")


def judge_of(scored: ScoredManifest) -> str:
    return str(scored.results["judge"].iloc[0])


def test_a_missing_clip_is_wrong_and_the_true_clips_are_the_ceiling(tiny: Tiny, tmp_path: Path) -> None:
    scored = score(tiny, tmp_path)
    mine, truth = (scored.metrics.methods[name] for name in ("Mine", "ground_truth"))
    assert (mine.n, mine.num_failed, truth.n) == (14, 1, 14)
    assert mine.coverage == pytest.approx(13 / 14)
    # the others are copies of the true clips
    assert truth.num_correct - mine.num_correct in (0, 1)
    lost = answers(read_results(tmp_path / "scores/mine")).query("method == 'Mine' and predicted.isna()")
    assert lost.reason.iloc[0].startswith("missing: ")
    assert "1 of 14 made clips are missing and count as wrong" in scored.metrics.remarks


def test_results_are_found_again_and_stand_beside_others(tiny: Tiny, tmp_path: Path) -> None:
    scored = score(tiny, tmp_path)
    (again,) = read_scored(tmp_path / "scores")
    assert again.metrics.methods["Mine"] == scored.metrics.methods["Mine"]
    assert (again.metrics.judge, again.metrics.floor) == (scored.metrics.judge, scored.metrics.floor)
    table = scored_table([("mine", again.metrics), ("again", again.metrics)])
    assert [line.split("|")[2].strip() for line in table.splitlines()[2:]] == ["Mine", "judge on true clips"] * 2
    assert len(same_rows(again.results, judge_of(again), again.results)) == len(again.results)
    with pytest.raises(UserError, match="no row is in both results: one has sample-D-angry-2-001, the other x"):
        same_rows(again.results, judge_of(again), again.results.assign(row_id="x"))


def test_the_name_of_a_method_of_ours_is_taken(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="oracle is the name of a method of ours; give another"):
        score(tiny, tmp_path, "oracle")
    assert not (tmp_path / "scores").exists()


def test_single_videos_get_an_answer_each_and_bad_ones_a_reason(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("text")
    good = tiny.clips.video("sample-D-happy-2-001")
    answers = video_answers([good, tmp_path / "text.mp4"], Judge.load(tiny.judge.folder))
    assert [answer.predicted for answer in answers] == ["happy", None]
    first, second = answer_table(answers).splitlines()[2:]
    assert "happy" in first
    assert "unreadable_video" in second


def test_the_command_prints_the_table_and_where_it_lies(tiny: Tiny, tmp_path: Path) -> None:
    manifest = write_manifest(tiny, tmp_path / "mine.csv")
    out = tmp_path / "scores/mine"
    done = CliRunner().invoke(
        app,
        [
            "score",
            "--manifest",
            str(manifest),
            "--method",
            "Mine",
            "--judge",
            str(tiny.judge.folder),
            "--out",
            str(out),
        ],
    )
    assert done.exception is None, done.output
    for part in ("| mine    | Mine", "stand-in of the project (small)", "note: 1 of 14 made clips", f"Results: {out}"):
        assert part in done.output


def test_other_rows_beside_are_told_before_anything_is_scored(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = write_manifest(tiny, tmp_path / "mine.csv")
    out, other = tmp_path / "scores/mine", tmp_path / "other.parquet"
    arguments = ["score", "--manifest", str(manifest), "--judge", str(tiny.judge.folder), "--out", str(out)]
    assert CliRunner().invoke(app, arguments).exception is None
    done = CliRunner().invoke(app, [*arguments, "--beside", str(out)])
    assert f"| {out}" in done.output
    results = read_results(out)
    write_results(results.assign(row_id="x-" + results.row_id, sample_id="x-" + results.sample_id), other)
    monkeypatch.setattr(other_methods, "score_clips", lambda *_: pytest.fail("clips were scored"))
    done = CliRunner().invoke(app, [*arguments, "--beside", str(other)])
    assert isinstance(done.exception, UserError)
    assert "no row is in both results" in str(done.exception)


def test_videos_may_follow_a_list_option_after_two_dashes(tiny: Tiny) -> None:
    video = str(tiny.clips.video("sample-D-happy-2-001"))
    done = CliRunner().invoke(
        app, ["score", "--judge", str(tiny.judge.folder), "--label-order", *TARGET_EMOTIONS, "--", video]
    )
    assert (done.exit_code, done.exception) == (0, None)
    assert video in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--label-order", "sad", "happy", "a.mp4"],
            "--label-order a.mp4: was taken for a value of this option; name videos before the options, or after --",
        ),
        (["--metrics", "landmarks", "a.mp4"], "--metrics a.mp4: was taken for a value of this option; name videos"),
        (["--metrics", "landmarks", "tests"], "--metrics tests: was taken for a value of this option; name videos"),
        (["tests"], "tests: is a folder; name the files in it, for example tests/*.mp4"),
        ([], "score: give videos, or --manifest FILE.csv, and not both"),
        (["a.mp4", "--manifest", "b.csv"], "score: give videos, or --manifest FILE.csv, and not both"),
        (["a.mp4", "--metrics", "fid", "beauty"], "--metrics beauty: known are landmarks, fid, fvd, sync, identity"),
        (["a.mp4", "--judge", "nowhere"], "nowhere"),
    ],
)
def test_a_mistake_is_one_sentence(arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    done = CliRunner().invoke(app, ["score", *arguments])
    assert isinstance(done.exception, UserError)
    assert message in str(done.exception)


@pytest.mark.parametrize("name", ["..", "../evil", "a/b", ".hidden", ""])
def test_a_method_that_could_lead_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="letters, digits"):
        check_method(name)


def test_nothing_but_results_is_ever_replaced(tiny: Tiny, tmp_path: Path) -> None:
    precious = tmp_path / "scores/mine/thesis.txt"
    precious.parent.mkdir(parents=True)
    precious.write_text("years")
    with pytest.raises(UserError, match="holds thesis.txt, which is not a result of this command"):
        score(tiny, tmp_path)
    assert precious.read_text() == "years"
    precious.unlink()
    score(tiny, tmp_path)
    score(tiny, tmp_path)
    with pytest.raises(UserError, match="this is a file; name a folder"):
        check_results_folder(tmp_path / "mine.csv")


def test_only_the_same_judge_and_the_same_targets_stand_in_one_table(tiny: Tiny, tmp_path: Path) -> None:
    scored = score(tiny, tmp_path)
    rows, judge = scored.results, judge_of(scored)
    with pytest.raises(UserError, match="come from another judge"):
        same_rows(rows, judge, rows.assign(judge="0"))
    with pytest.raises(UserError, match="want a different emotion in the other results, first sample-D-angry"):
        same_rows(rows, judge, rows.assign(emotion="happy"))
    held_out = same_rows(rows, judge, rows.assign(is_held_out=True))
    assert not held_out.is_held_out.any()


def test_a_folder_that_no_manifest_made_is_named(tiny: Tiny, tmp_path: Path) -> None:
    score(tiny, tmp_path)
    (tmp_path / "scores/mine/metrics.json").write_text("{}")
    with pytest.raises(UserError, match="scores/mine: no results of `cmet score`; move the folder out of"):
        read_scored(tmp_path / "scores")
