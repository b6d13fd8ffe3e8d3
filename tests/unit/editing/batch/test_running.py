"""A batch makes each edit once, goes on where it was, and shows all on one page."""

import html
import re
from dataclasses import replace
from pathlib import Path
from shutil import copyfile

import numpy as np
import pytest
from filelock import FileLock

from cmet.editing.batch import running
from cmet.editing.batch.page import facts_of
from cmet.editing.batch.product import BATCH_LEDGER, BATCH_LOCK, BATCH_PAGE
from cmet.editing.batch.running import BatchReport, run_batch
from cmet.editing.batch.table import BatchRow
from cmet.editing.editor import Editor
from cmet.editing.queue import Editors
from cmet.editing.reports import EditReport, EmotionReport
from cmet.editing.request import EditRequest
from cmet.editing.result.provenance import MadeEmotion, Provenance
from cmet.editing.wishes.options import EditOptions
from cmet.errors import UserError
from cmet.media.video import read_video, write_video

NOTE = "look at it"


@pytest.fixture
def videos(real: Path, tmp_path: Path, editor: Editor, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two videos of a face, one that shows none, and a model that is there."""
    monkeypatch.setattr(Editors, "of", lambda *_: editor)
    frames = read_video(real / "MEAD/FPS25/W009/front/neutral/level_1/038.mp4", range(14)).frames
    paths = [tmp_path / "a.mp4", tmp_path / "b & <b>.mp4", tmp_path / "none.mp4"]
    for path, shown in zip(paths, (frames[:7], frames[7:], np.zeros_like(frames)), strict=True):
        write_video(path, shown, 25)
    return paths


@pytest.fixture
def rows(videos: list[Path], sounds: dict[str, list[Path]], out: Path) -> list[BatchRow]:
    speech, calm = (tuple(paths) for paths in sounds.values())
    asked = EditRequest(Path(), speech, out, calm, options=EditOptions(is_quiet=True))
    return [
        BatchRow(f"row {number}", video, replace(asked, video=video, out=out / video.name))
        for number, video in enumerate(videos, 2)
    ] + [BatchRow("row 9", videos[0], None, "no emotion")]


def done(rows: list[BatchRow], out: Path) -> BatchReport:
    return run_batch(rows, out, lambda report: [NOTE], is_quiet=True)


def states(report: BatchReport) -> list[str]:
    return [edit.state for edit in report.edits]


def test_a_batch_makes_each_edit_once(rows: list[BatchRow], out: Path) -> None:
    first = done(rows, out)
    assert states(first) == ["made", "made", "failed", "failed"]
    assert (first.num_made, first.num_kept, first.num_failed) == (2, 0, 2)
    assert "no face" in (first.edits[2].fault or "") and first.edits[3].fault == "no emotion"
    times = [file.stat().st_mtime_ns for file in sorted(out.glob("*.mp4"))]
    second = done(rows, out)
    assert states(second) == ["kept", "kept", "failed", "failed"]
    assert [edit.report for edit in second.edits] == [edit.report for edit in first.edits]
    assert [file.stat().st_mtime_ns for file in sorted(out.glob("*.mp4"))] == times
    assert {file.name for file in out.iterdir()} == {"a.mp4", "b & <b>.mp4", BATCH_PAGE, BATCH_LEDGER, BATCH_LOCK}


def other_video(rows: list[BatchRow], out: Path) -> None:
    write_video(rows[0].video, read_video(rows[1].video).frames, 25)


def other_speech(rows: list[BatchRow], out: Path) -> None:
    assert rows[0].request is not None
    copyfile(rows[0].request.neutral_speech[0], rows[0].request.files["speech"][0])


def other_result(rows: list[BatchRow], out: Path) -> None:
    (out / "a.mp4").write_bytes(b"half")


def no_result(rows: list[BatchRow], out: Path) -> None:
    (out / "a.mp4").unlink()


def no_ledger(rows: list[BatchRow], out: Path) -> None:
    (out / BATCH_LEDGER).write_text('{"a.mp4": {"asked": 1}}')


def test_what_has_changed_is_made_again(rows: list[BatchRow], out: Path) -> None:
    done(rows[:2], out)
    # one after the other, each on what the one before has left
    for change, expected in (
        (other_video, ["made", "kept"]),
        (other_speech, ["made", "made"]),
        (other_result, ["made", "kept"]),
        (no_result, ["made", "kept"]),
        (no_ledger, ["made", "made"]),
    ):
        change(rows, out)
        assert states(done(rows[:2], out)) == expected, change.__name__


def test_another_wish_or_model_makes_an_edit_anew(
    rows: list[BatchRow], out: Path, editor: Editor, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(rows[:1], out)
    assert rows[0].request is not None
    stronger = replace(rows[0].request, options=replace(rows[0].request.options, strength=2.0))
    assert states(done([replace(rows[0], request=stronger)], out)) == ["made"]
    assert states(done([replace(rows[0], request=stronger)], out)) == ["kept"]
    monkeypatch.setattr(running, "own_version", lambda: "9.9")
    assert states(done([replace(rows[0], request=stronger)], out)) == ["made"]


def test_a_batch_that_is_ended_goes_on_where_it_was(
    rows: list[BatchRow], out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(report: EditReport) -> list[str]:
        monkeypatch.setattr(running.EditQueue, "put", interrupted)
        return [NOTE]

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    put = running.EditQueue.put
    with pytest.raises(KeyboardInterrupt):
        run_batch(rows[:2], out, end, is_quiet=True)
    assert [file.name for file in out.glob("*.mp4")] == ["a.mp4"]
    (out / ".0123456789ab.mp4").write_bytes(b"what a kill leaves")
    monkeypatch.setattr(running.EditQueue, "put", put)
    assert states(done(rows[:2], out)) == ["kept", "made"]
    assert not (out / ".0123456789ab.mp4").exists()


def test_two_batches_do_not_share_a_folder(rows: list[BatchRow], out: Path) -> None:
    out.mkdir()
    with FileLock(out / BATCH_LOCK), pytest.raises(UserError, match="another batch is writing there"):
        done(rows, out)


def test_a_page_of_somebody_else_is_not_written_over(rows: list[BatchRow], out: Path) -> None:
    out.mkdir()
    (out / BATCH_PAGE).write_text("mine")
    with pytest.raises(UserError, match="holds a page index.html that is none of a batch"):
        done(rows, out)
    assert (out / BATCH_PAGE).read_text() == "mine"


def test_the_page_says_what_each_emotion_is_most_like() -> None:
    made = tuple(MadeEmotion(name, 1.0) for name in ("a.wav", "happy"))
    said = Provenance("cmet 1", "m", "0" * 64, "facemesh", "opensmile", made)
    heard, told = (
        EmotionReport("/tmp/a.wav", 1.0, 1.0, likeness=found)
        for found in ({"sad": 0.81, "fear": 0.5, "happy": 0.1}, {})
    )
    report = EditReport(10, 25.0, 64, 64, 1.0, 0.9, emotions=(heard, told))
    assert facts_of(said, report)["most like"] == "a.wav: sad 0.81, fear 0.50"
    alone = replace(report, emotions=(), likeness=heard.likeness)
    assert facts_of(said, alone)["most like"] == "sad 0.81, fear 0.50"


def test_the_page_shows_all_and_needs_nothing_else(rows: list[BatchRow], out: Path, tmp_path: Path) -> None:
    done(rows, out)
    page = (out / BATCH_PAGE).read_text(encoding="utf-8")
    assert page.count('src="data:image/jpeg;base64,') == 4
    assert not re.findall(r'(?:src|href)="(?!data:|a\.mp4|b%20%26%20%3Cb%3E\.mp4)', page)
    assert "<script" not in page and "<b>.mp4" not in page
    assert str(tmp_path) not in page
    text = html.unescape(page)
    assert "2 of 4 made" in text and "no emotion" in text and "happy" in text
    assert page.count(NOTE) == 1
