"""Rows of a table, or the videos of a folder, as edits."""

from dataclasses import replace
from pathlib import Path

import pytest

from cmet.editing.batch.table import BatchDefaults, rows_of_batch
from cmet.editing.request import EditRequest
from cmet.editing.wishes.options import EditOptions, NamedEmotion, Share
from cmet.editing.wishes.timeline import Segment, Timeline
from cmet.errors import UserError

HEADER = "video,out,emotion,speech,neutral_speech,timeline,strength\n"


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
