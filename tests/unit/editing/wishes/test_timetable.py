from pathlib import Path

import pytest

from cmet.editing.wishes.options import NamedEmotion, OneEmotion, Share
from cmet.editing.wishes.timeline import Segment
from cmet.editing.wishes.timetable import parsed_emotions, parsed_paths, parsed_time, parsed_words, read_timetable
from cmet.errors import UserError

HAPPY, SAD, SURPRISED = (NamedEmotion(name) for name in ("happy", "sad", "surprised"))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("4", 4), ("4.5", 4.5), ("4,5", 4.5), ("4s", 4), (" 4.25 s", 4.25), ("0:04.5", 4.5), ("1:02", 62),
        ("1:02:03.5", 3723.5), ("0", 0), ("90", 90), ("90:00", 5400),
    ],
)  # fmt: skip
def test_times(text: str, seconds: float) -> None:
    assert parsed_time(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "s", "-1", "1e3", "nan", "inf", "4 m", "1:60", "1:60:00", "1:2:3:4", ":4", "٤", "9" * 99]
)
def test_what_is_no_time_is_told(text: str) -> None:
    with pytest.raises(UserError, match="is no time; write seconds, such as 4.5, or minutes and seconds"):
        parsed_time(text)


@pytest.mark.parametrize(
    ("text", "shares"),
    [
        ("happy", (Share(HAPPY),)),
        ("neutral", (Share("neutral"),)),
        ("0.5 happy + 0.4 surprised", (Share(HAPPY, 0.5), Share(SURPRISED, 0.4))),
        (".5*happy+sad", (Share(HAPPY, 0.5), Share(SAD))),
        ("1 happy + 0.25 neutral", (Share(HAPPY), Share("neutral", 0.25))),
    ],
)
def test_an_emotion_or_a_blend_by_name(text: str, shares: tuple[Share, ...]) -> None:
    assert parsed_words(text) == shares


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'': an emotion is missing"),
        ("0.5 happy +", "an emotion is missing; write one, or a blend such as"),
        ("+ happy", "an emotion is missing"),
        ("1.5 happy", "a weight of 1.5: expected one above 0, up to 1"),
        ("-0.5 happy", "a weight of -0.5"),
        ("0 happy + sad", "a weight of 0:"),
    ],
)
def test_a_blend_that_cannot_be_is_told(text: str, said: str) -> None:
    with pytest.raises(UserError, match=f"^{said}|: {said}"):
        parsed_words(text)


def test_recordings_lie_beside_the_table_and_may_be_a_blend(tmp_path: Path) -> None:
    (tmp_path / "0.5 odd + name").mkdir()
    assert parsed_paths("a/b.wav", tmp_path) == (Share((tmp_path / "a/b.wav",)),)
    assert parsed_paths("0.5 a+b/ + 0.4 c", tmp_path) == (
        Share((tmp_path / "a+b",), 0.5),
        Share((tmp_path / "c",), 0.4),
    )
    assert parsed_paths("0.5 odd + name", tmp_path) == (Share((tmp_path / "0.5 odd + name",)),)
    assert parsed_paths("/voices/a.wav", tmp_path) == (Share((Path("/voices/a.wav"),)),)


@pytest.mark.parametrize(
    ("texts", "emotions"),
    [
        (["happy"], [HAPPY]),
        (["neutral"], ["neutral"]),
        (["nonsense"], [NamedEmotion("nonsense")]),
        (["./happy"], [(Path("happy"),)]),
        (["angry/"], [(Path("angry"),)]),
        (["a.wav"], [(Path("a.wav"),)]),
        (["voices"], [(Path("voices"),)]),
        (["a.wav", "sad"], [(Path("a.wav"), Path("sad"))]),
        (["0.5", "happy", "+", "0.5", "a.wav"], [HAPPY, (Path("a.wav"),)]),
        (["0.5", "sad"], [SAD]),
        (["0.5 happy + 0.4 sad/"], [HAPPY, (Path("sad"),)]),
    ],
)
def test_a_word_is_a_name_and_what_looks_like_a_path_or_is_there_recordings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, texts: list[str], emotions: list[OneEmotion]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("happy", "voices"):
        (tmp_path / name).mkdir()
    assert [share.emotion for share in parsed_emotions(texts)] == emotions


def test_a_table_is_a_timeline_in_the_order_of_its_times(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("End;Start;speech;emotion;strength\n;0:04,5;;0.5 happy + 0.4 sad;1,5\n\n3;1s;voices/;;auto\n")
    assert read_timetable(table).segments == (
        Segment(1, 3, (Share((tmp_path / "voices",)),)),
        Segment(4.5, None, (Share(HAPPY, 0.5), Share(SAD, 0.4)), 1.5),
    )


def test_a_recording_of_a_table_may_be_followed(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("start,speech,follow\n0,a.wav,Yes\n4,b.wav,no\n6,c.wav,\n")
    assert [one.follows for one in read_timetable(tmp_path / "t.csv").segments] == [True, False, False]


def test_a_table_needs_no_column_but_start_and_one_that_names_emotions(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("start,emotion\n0,happy\n")
    assert read_timetable(tmp_path / "t.csv", 0.3).segments == (Segment(0, None, (Share(HAPPY),)),)
    assert read_timetable(tmp_path / "t.csv", 0.3).ease_s == 0.3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "t.csv is empty"),
        (b"start,emotion\n", "t.csv: no row below the header"),
        (b"emotion\nhappy\n", "t.csv: no column start"),
        (b"start,emotoin\n0,happy\n", "t.csv: no column is called 'emotoin'; known are start, end,"),
        (b"start,emotion\n0,happy\n4:,sad\n", "t.csv, row 3: '4:' is no time"),
        (b"start,emotion\n\n,happy\n", "t.csv, row 3: '' is no time"),
        (b"start,emotion\n0,\n", "t.csv, row 2: no emotion and no speech; give one of them"),
        (b"start,emotion,speech\n0,happy,a.wav\n", "t.csv, row 2: both an emotion and speech; leave one empty"),
        (b"start,emotion,strength\n0,happy,9\n", "t.csv, row 2: a strength of 9: expected 0 to 5"),
        (b"start,emotion,strength\n0,happy,strong\n", "t.csv, row 2: 'strong' is no strength; write a number"),
        (b"start,emotion,follow\n0,happy,yes\n", "t.csv, row 2: only one recording by itself can be followed"),
        (b"start,speech,follow\n0,a.wav,1\n", "t.csv, row 2: follow is '1'; write yes or no"),
        (b"start,emotion\n0,2 happy\n", "t.csv, row 2: a weight of 2"),
        (b"start,end,emotion\n3,2,happy\n", "t.csv, row 2: ends at 2 s, and starts at 3 s"),
        (b"start,end,emotion\n2,4,happy\n0,3,sad\n", r"t.csv, row 2: starts at 2 s, before .*row 3 ends \(3 s\)"),
        (b"start,emotion\n0,happy,sad\n", "t.csv: row 2 has 3 cells, but the header has 2"),
        (b"start,emotion\n0,\"happy\n", "t.csv: row 2 cannot be read .*is a quote missing"),
        (b"start,emotion\n0,happy\0\n", "t.csv: not a CSV file"),
        (b"start,emotion\n0,neutral\n", "the timeline changes nothing"),
        (b"start,emotion\n" + b"0,happy\n" * 200_000, "t.csv: larger than 1 MiB"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_is_one_sentence_with_its_row(tmp_path: Path, text: bytes, said: str) -> None:
    (tmp_path / "t.csv").write_bytes(text)
    with pytest.raises(UserError, match=said) as caught:
        read_timetable(tmp_path / "t.csv")
    assert "\n" not in str(caught.value)


def test_a_table_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="^--timeline: .*none.csv does not exist$"):
        read_timetable(tmp_path / "none.csv")
    with pytest.raises(UserError, match="^--timeline: .* is a folder, not a file$"):
        read_timetable(tmp_path)
