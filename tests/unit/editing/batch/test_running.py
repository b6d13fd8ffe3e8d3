import html
import re
from dataclasses import replace
from pathlib import Path
from shutil import copyfile

import numpy as np
import pytest
from filelock import FileLock

from cmet.editing.batch import running as batch_module
from cmet.editing.batch.page import facts_of
from cmet.editing.batch.product import BATCH_LEDGER, BATCH_LOCK, BATCH_PAGE
from cmet.editing.batch.running import BatchReport, run_batch
from cmet.editing.batch.table import BatchDefaults, BatchRow, rows_of_batch
from cmet.editing.editor import Editor
from cmet.editing.queue import Editors
from cmet.editing.request import EditRequest
from cmet.editing.result.provenance import MadeEmotion, Provenance
from cmet.editing.wishes.options import EditOptions, EditReport, EmotionReport, NamedEmotion, Share
from cmet.editing.wishes.timeline import Segment, Timeline
from cmet.errors import UserError
from cmet.media.video import read_video, write_video

HEADER = "video,out,emotion,speech,neutral_speech,timeline,strength\n"
NOTE = "look at it"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "edited"


@pytest.fixture
def nothing(out: Path) -> BatchDefaults:
    """A command that names no emotion."""
    return BatchDefaults(EditRequest(Path(), "neutral", out, options=EditOptions(is_quiet=True)), has_wish=False)


@pytest.fixture
def happy(nothing: BatchDefaults) -> BatchDefaults:
    return BatchDefaults(replace(nothing.request, wanted=NamedEmotion("happy")), has_wish=True)


def table_of(tmp_path: Path, *rows: str, header: str = HEADER) -> Path:
    (tmp_path / "t.csv").write_text(header + "".join(f"{row}\n" for row in rows))
    return tmp_path / "t.csv"


def test_a_row_says_what_its_edit_is(tmp_path: Path, nothing: BatchDefaults, out: Path) -> None:
    (tmp_path / "times.csv").write_text("start,emotion\n0,sad\n")
    rows, passed_over = rows_of_batch(
        table_of(
            tmp_path,
            "a.mov,,happy,,,,2",
            "b.mp4,c/d.mp4,0.5 happy + 0.4 sad,,,,auto",
            "b.mp4,e.mp4,,angry/,calm.wav,,",
            "b.mp4,f.mp4,,,,times.csv,",
        ),
        nothing,
    )
    requests = [row.request for row in rows]
    assert [row.name for row in rows] == ["row 2", "row 3", "row 4", "row 5"]
    assert passed_over == []
    first, second, third, fourth = requests
    assert first is not None and second is not None and third is not None and fourth is not None
    assert (first.video, first.out, first.wanted) == (tmp_path / "a.mov", out / "a.mp4", NamedEmotion("happy"))
    assert first.options.strength == 2.0
    assert second.wanted == (Share(NamedEmotion("happy"), 0.5), Share(NamedEmotion("sad"), 0.4))
    assert second.out == out / "c/d.mp4" and second.options.strength is None
    assert (third.wanted, third.neutral_speech) == ((tmp_path / "angry",), (tmp_path / "calm.wav",))
    assert fourth.wanted == Timeline((Segment(0.0, None, (Share(NamedEmotion("sad")),)),))


def test_what_a_row_leaves_empty_is_what_the_command_names(tmp_path: Path, happy: BatchDefaults) -> None:
    rows, _ = rows_of_batch(table_of(tmp_path, "a.mp4", "b.mp4,sad", header="Video,Emotion\n"), happy)
    assert [row.request and row.request.wanted for row in rows] == [NamedEmotion("happy"), NamedEmotion("sad")]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (",,happy,,,,", "no video"),
        ("a.mp4,,,,,,", "no emotion; fill in emotion, speech or timeline"),
        ("a.mp4,,happy,b.wav,,,", "both emotion and speech"),
        ("a.mp4,,0.5 happy +,,,,", "an emotion is missing"),
        ("a.mp4,,,,,none.csv,", "none.csv does not exist"),
        ("a.mp4,,happy,,,,6", "strength 6: expected auto or a number from 0 to 5"),
        ("a.mp4,,happy,,,,nan", "strength nan: expected"),
        ("a.mp4,../a.mp4,happy,,,,", "out ../a.mp4: leads out of"),
        ("a.mp4,/tmp/a.mp4,happy,,,,", "out /tmp/a.mp4: leads out of"),
        ("a.mp4,link/a.mp4,happy,,,,", "out link/a.mp4: leads out of"),
        ("a.mp4,.hidden.mp4,happy,,,,", "or is hidden"),
        ("a.mp4,index.html,happy,,,,", "expected a name that ends in .mp4"),
    ],
)
def test_a_row_that_cannot_be_has_its_sentence(
    tmp_path: Path, nothing: BatchDefaults, out: Path, row: str, said: str
) -> None:
    out.mkdir()
    (out / "link").symlink_to(tmp_path)
    (found, fine), _ = rows_of_batch(table_of(tmp_path, row, "b.mp4,,happy,,,,"), nothing)
    assert found.request is None and said in (found.fault or "")
    assert fine.request is not None


def test_two_rows_may_not_have_one_result(tmp_path: Path, happy: BatchDefaults) -> None:
    rows, _ = rows_of_batch(table_of(tmp_path, "a.mp4", "b/a.mov", "a.mp4,./a.mp4", header="video,out\n"), happy)
    assert [row.request is None for row in rows] == [False, True, True]
    assert rows[1].fault == "a.mp4 is already the result of row 2; give out another name"


def test_no_row_writes_over_what_another_one_reads(tmp_path: Path, nothing: BatchDefaults) -> None:
    (tmp_path / "voices").mkdir()
    (tmp_path / "voices/calm.mp4").touch()
    table = table_of(
        tmp_path, "a.mp4,b.mp4,happy,", "b.mp4,c.mp4,,voices", "c.mov,voices/calm.mp4,happy,",
        header="video,out,emotion,speech\n",
    )  # fmt: skip
    defaults = replace(nothing, request=replace(nothing.request, out=tmp_path))
    rows, _ = rows_of_batch(table, defaults)
    assert [row.request is None for row in rows] == [True, False, True]
    assert "b.mp4 is a file that the batch reads" in (rows[0].fault or "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("video,emotions\na.mp4,happy\n", "no column is called 'emotions'"),
        ("name\na.mp4\n", "no column video"),
        ("video\n", "0 rows below the header"),
        ("", "is empty"),
        ("video\n" + "a.mp4\n" * 10_001, "10,001 rows"),
        ("video\n" + " " * (9 << 20), "larger than 8 MiB"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, happy: BatchDefaults, text: str, said: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UserError, match=said):
        rows_of_batch(tmp_path / "t.csv", happy)


def test_a_folder_is_all_its_videos(tmp_path: Path, happy: BatchDefaults, nothing: BatchDefaults, out: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    for name in ("b.mov", "a.mp4", "c.wav", "notes.txt"):
        (clips / name).write_text("hello")
    rows, passed_over = rows_of_batch(clips, happy)
    assert [row.request and row.request.out for row in rows] == [out / "a.mp4", out / "b.mp4"]
    assert [file.name for file in passed_over] == ["c.wav", "notes.txt"]
    with pytest.raises(UserError, match="a folder names no emotions; add --emotion"):
        rows_of_batch(clips, nothing)
    with pytest.raises(UserError, match="no video in this folder"):
        rows_of_batch(out.parent / "t", happy) if (out.parent / "t").mkdir() is None else None


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
    monkeypatch.setattr(batch_module, "own_version", lambda: "9.9")
    assert states(done([replace(rows[0], request=stronger)], out)) == ["made"]


def test_a_batch_that_is_ended_goes_on_where_it_was(
    rows: list[BatchRow], out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(report: EditReport) -> list[str]:
        monkeypatch.setattr(batch_module.EditQueue, "put", interrupted)
        return [NOTE]

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    put = batch_module.EditQueue.put
    with pytest.raises(KeyboardInterrupt):
        run_batch(rows[:2], out, end, is_quiet=True)
    assert [file.name for file in out.glob("*.mp4")] == ["a.mp4"]
    (out / ".0123456789ab.mp4").write_bytes(b"what a kill leaves")
    monkeypatch.setattr(batch_module.EditQueue, "put", put)
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
