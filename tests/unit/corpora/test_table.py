from pathlib import Path

import pandas as pd
import pytest

from cmet.corpora import scan, table
from cmet.errors import UserError
from tests.unit.corpora.trees import touch


def write(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    (folder / "clips.csv").write_text(text, encoding=encoding)
    return folder


def test_a_table_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    write(touch(tmp_path, "a/one.mp4"), "video,speaker,emotion\na/one.mp4,Ann,happy\n", "utf-8-sig")
    rows = scan(table, tmp_path)
    assert rows.clip_id.to_list() == ["table-a-one"]
    assert rows[["speaker", "emotion", "status"]].to_numpy().tolist() == [["Ann", "happy", "ok"]]


def test_optional_columns_synonyms_and_free_labels(tmp_path: Path) -> None:
    touch(tmp_path, "1.mp4", "2.wav")
    write(
        tmp_path,
        "video,audio,speaker,emotion,intensity,sentence,split\n1.mp4,,A, Joy ,2,s1,test\n,2.wav,B,envious,,,train\n",
    )
    rows = scan(table, tmp_path / "clips.csv")
    assert rows.emotion.to_list() == ["happy", "envious"]
    assert rows.intensity.to_list() == [2, pd.NA]
    assert rows.split.to_list() == ["test", "train"]
    assert rows.audio.to_list() == [None, "2.wav"]


def test_parquet_with_gaps_in_its_numbers_is_read(tmp_path: Path) -> None:
    touch(tmp_path, "1.mp4", "2.mp4")
    frame = pd.DataFrame(
        {"video": ["1.mp4", "2.mp4"], "speaker": [7, 8], "emotion": ["sad", "neutral"], "intensity": [3, None]}
    )
    frame.to_parquet(tmp_path / "clips.parquet")
    rows = scan(table, tmp_path)
    assert rows.intensity.to_list() == [3, pd.NA]
    assert rows.speaker.to_list() == ["7", "8"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video,speaker\n1.mp4,A\n", "no column emotion; needed are video, speaker, emotion, found video, speaker"),
        ("video,speaker,emotion\n1.mp4,A,happy\n2.mp4,A,bored\n", "row 3: unknown emotion 'bored'; known are angry"),
        ("video,speaker,emotion\n1.mp4,,sad\n", "row 2: no speaker for 1.mp4"),
        ("video,speaker,emotion\n,A,sad\n", "row 2: neither video nor audio is given"),
        ("video,speaker,emotion,intensity\n1.mp4,A,sad,high\n", "row 2: intensity 'high' is none of 1, 2, 3"),
        ("video,speaker,emotion,split\n1.mp4,A,sad,dev\n", "row 2: split 'dev' is none of train, val, test"),
        ("video,speaker,emotion\n1.mp4,A,sad\n1.mp4,A,sad\n", "row 3: 1.mp4 gives the clip id table-1, as row 2 does"),
        ("video,speaker,emotion\n", "the table has no rows"),
        ("", "cannot be read as a table"),
    ],
)
def test_what_is_wrong_is_named_with_its_row(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        scan(table, write(tmp_path, text))


def test_all_bad_rows_are_named_at_once(tmp_path: Path) -> None:
    write(tmp_path, "video,speaker,emotion\n" + "".join(f"{n}.mp4,A,bored\n" for n in range(12)))
    with pytest.raises(UserError, match=r"(?s)12 bad value\(s\).*row 2: .*row 11: .* and 2 more"):
        scan(table, tmp_path)


def test_a_row_without_its_file_is_quarantined_and_the_others_are_not(tmp_path: Path) -> None:
    write(touch(tmp_path, "1.mp4"), "video,speaker,emotion\n1.mp4,A,sad\n2.mp4,A,sad\n")
    rows = scan(table, tmp_path)
    assert rows.status.to_list() == ["ok", "quarantined"]
    assert rows.reason[1] == "missing_file: 2.mp4 does not exist beside clips.csv"


def test_speakers_do_not_cross_the_splits_that_are_made(tmp_path: Path) -> None:
    names = [f"S{n}" for n in range(10)]
    touch(tmp_path, *(f"{name}.mp4" for name in names))
    write(tmp_path, "video,speaker,emotion\n" + "".join(f"{name}.mp4,{name},sad\n" for name in names))
    assert scan(table, tmp_path).split.to_list() == ["train"] * 7 + ["val"] + ["test"] * 2


def test_a_folder_without_a_table_says_what_it_is_called(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"expected one of clips\.csv and clips\.parquet in this folder, found none"):
        scan(table, tmp_path)
