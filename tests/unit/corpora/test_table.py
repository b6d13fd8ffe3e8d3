import unicodedata
from pathlib import Path

import pandas as pd
import pytest

from cmet.corpora import table
from cmet.corpora.scan import scan
from cmet.errors import UserError
from tests.unit.corpora.trees import pointer, touch


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
    frame.set_index("video").to_parquet(tmp_path / "clips.parquet")
    assert scan(table, tmp_path).equals(rows)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video,speaker\n1.mp4,A\n", "no column emotion; expected video, speaker, emotion, found video, speaker"),
        ("video,speaker,emotion\n1.mp4,A,happy\n2.mp4,A,bored\n", "row 3: unknown emotion 'bored'\nknown emotions are"),
        ("video,speaker,emotion\n\n1.mp4,A,sad\n,,\n2.mp4,A,bored\n", "row 5: unknown emotion 'bored'"),
        ("video,speaker,emotion\n1.mp4,,sad\n", "row 2: no speaker for 1.mp4"),
        ("video,speaker,emotion\n,A,sad\n", "row 2: neither video nor audio is given"),
        ("video,speaker,emotion,intensity\n1.mp4,A,sad,high\n", "row 2: intensity 'high' is not 1, 2, 3 or empty"),
        ("video,speaker,emotion,split\n1.mp4,A,sad,eval\n", "row 2: split 'eval' is not train, val or test"),
        ("video,speaker,emotion,intensity\n1.mp4,A,sad,2.5\n", "row 2: intensity '2.5' is not 1, 2, 3 or empty"),
        ("video,speaker,emotion\n1.mp4,A,sad\n./1.mp4,A,happy\n", "row 3: 1.mp4 is already in row 2"),
        ("video,speaker,emotion\n", "the table has no rows"),
        ("", "the file is empty"),
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
    assert rows.reason[1] == "missing_file: row 3: 2.mp4 does not exist beside clips.csv"


def test_speakers_do_not_cross_the_splits_that_are_made(tmp_path: Path) -> None:
    names = [f"S{n}" for n in range(10)]
    touch(tmp_path, *(f"{name}.mp4" for name in names))
    write(tmp_path, "video,speaker,emotion\n" + "".join(f"{name}.mp4,{name},sad\n" for name in names))
    assert scan(table, tmp_path).split.to_list() == ["train"] * 7 + ["val"] + ["test"] * 2


def test_a_folder_without_a_table_says_what_it_is_called(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"expected one of clips\.csv and clips\.parquet in this folder, found none"):
        scan(table, tmp_path)


def test_a_root_that_does_not_exist_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nope\.csv: no such file"):
        scan(table, tmp_path / "nope.csv")


def test_names_of_columns_and_splits_are_read_in_any_case(tmp_path: Path) -> None:
    splits = {"1.mp4": "Train", "2.mp4": "validation", "3.mp4": "VALID", "4.mp4": "dev", "5.mp4": "Test"}
    touch(tmp_path, *splits)
    rows = "".join(f"{file},A,Sad,{split}\n" for file, split in splits.items())
    write(tmp_path, "Video, Speaker ,EMOTION,Split\n" + rows)
    assert scan(table, tmp_path).split.to_list() == ["train", "val", "val", "val", "test"]


def test_whole_numbers_with_a_fraction_or_a_zero_before_them_are_intensities(tmp_path: Path) -> None:
    touch(tmp_path, "1.mp4", "2.mp4", "3.mp4")
    write(tmp_path, "video;speaker;emotion;intensity\n1.mp4;A;sad;2.0\n2.mp4;A;sad;3,00\n3.mp4;A;sad;01\n")
    assert scan(table, tmp_path).intensity.to_list() == [2, 3, 1]


def test_a_name_is_the_same_in_either_unicode_form(tmp_path: Path) -> None:
    composed, decomposed = "José/b ü.mp4", unicodedata.normalize("NFD", "Zoë/é.mp4")
    touch(tmp_path, composed, decomposed)
    cells = [unicodedata.normalize("NFD", composed), unicodedata.normalize("NFC", decomposed).replace("/", "\\")]
    speakers = ["Zoë", unicodedata.normalize("NFD", "Zoë")]
    write(
        tmp_path,
        "video,speaker,emotion\n" + "".join(f"{c},{s},sad\n" for c, s in zip(cells, speakers, strict=True)),
    )
    rows = scan(table, tmp_path)
    assert rows.status.to_list() == ["ok", "ok"]
    assert sorted(rows.video) == sorted([composed, decomposed])
    assert rows.speaker.nunique() == 1


def test_a_row_that_comes_twice_counts_once_and_is_told(tmp_path: Path) -> None:
    write(
        touch(tmp_path, "1.mp4"),
        "video,speaker,emotion\n1.mp4,A,sad\n1.mp4,A,sad\n./1.mp4,A,sad\n" + f"{tmp_path}/1.mp4,A,sad",
    )
    listing = table.list_files(tmp_path)
    assert [found.video for found in listing.found] == ["1.mp4"]
    assert listing.not_wanted == {"repeated_row": 3}


def test_one_file_under_several_names_is_not_several_clips(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.mp4")
    write(tmp_path, f"video,speaker,emotion\na/1.mp4,A,sad\na/../a/1.mp4,A,happy\n{tmp_path}/a/1.mp4,B,sad\n")
    with pytest.raises(UserError, match=r"(?s)row 3: a/\.\./a/1\.mp4 is already in row 2.*row 4: .* in row 2"):
        table.expected(tmp_path)


@pytest.mark.parametrize("gap", ["nan", "NA", "None", "<NA>", "#N/A"])
def test_what_programs_write_for_a_gap_is_empty(tmp_path: Path, gap: str) -> None:
    touch(tmp_path, "1.mp4")
    write(tmp_path, f"video,audio,speaker,emotion,intensity,sentence,split\n1.mp4,{gap},A,sad,{gap},{gap},{gap}\n")
    row = scan(table, tmp_path).iloc[0]
    assert (row.status, row.audio, row.intensity, row.sentence, row.split) == ("ok", None, pd.NA, "", "train")
    write(tmp_path, f"video,speaker,emotion\n1.mp4,{gap},sad\n")
    with pytest.raises(UserError, match="row 2: no speaker for 1.mp4"):
        table.expected(tmp_path)


def test_speakers_and_sentences_that_became_floats_are_those_of_the_other_rows(tmp_path: Path) -> None:
    touch(tmp_path, "1.mp4", "2.mp4")
    write(tmp_path, "video,speaker,emotion,sentence\n1.mp4,7,sad,12.0\n2.mp4,7.0,neutral,12\n")
    rows = scan(table, tmp_path)
    assert rows[["speaker", "sentence"]].to_numpy().tolist() == [["7", "12"]] * 2


def test_letters_of_all_scripts_stay_in_the_clip_id(tmp_path: Path) -> None:
    names = ["uni/å.mp4", "uni/ä.mp4", "声/喜 び.mp4"]
    write(touch(tmp_path, *names), "video,speaker,emotion\n" + "".join(f"{name},A,sad\n" for name in names))
    assert [clip.clip_id for clip in table.expected(tmp_path)] == ["table-uni-å", "table-uni-ä", "table-声-喜-び"]


@pytest.mark.parametrize(
    "files",
    [["a/b.mp4,", "a-b.mp4,"], ["good.mp4,", "good.MOV,"], ["1.mp4,1.wav", "1.mp4,2.wav"], ["ก้.mp4,", "ก๊.mp4,"]],
)
def test_different_files_of_one_name_get_ids_that_do_not_depend_on_the_order(tmp_path: Path, files: list[str]) -> None:
    def ids(order: list[str]) -> list[str]:
        text = "video,audio,speaker,emotion\n" + "".join(f"{file},A,sad\n" for file in order)
        return [clip.clip_id for clip in table.expected(write(tmp_path, text))]

    first, second = ids(files)
    assert first != second
    assert first[:-10] == second[:-10]
    assert ids(files[::-1]) == [second, first]


def test_files_that_differ_only_in_case_get_ids_that_differ_on_any_disk(tmp_path: Path) -> None:
    write(tmp_path, "video,speaker,emotion\nA/1.mp4,A,sad\na/1.MP4,B,sad\n2.mp4,B,sad\n")
    ids = [clip.clip_id for clip in table.expected(tmp_path)]
    assert len({name.casefold() for name in ids}) == 3
    assert ids[2] == "table-2"


def test_an_id_fits_into_a_file_name(tmp_path: Path) -> None:
    names = ["/".join(["声" * 60] * 3) + f"/{n}.mp4" for n in range(2)]
    write(tmp_path, "video,speaker,emotion\n" + "".join(f"{name},A,sad\n" for name in names))
    first, second = (clip.clip_id for clip in table.expected(tmp_path))
    assert first != second
    assert len(first.encode()) < 200


def test_backslashes_of_a_windows_spreadsheet_are_read_where_the_file_is_there(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.mp4")
    write(tmp_path, "video,speaker,emotion\na\\1.mp4,A,sad\na\\2.mp4,A,sad\n")
    rows = scan(table, tmp_path)
    assert rows.video[0] == "a/1.mp4"
    assert rows.reason[1] == (
        r"missing_file: row 3: a\2.mp4 does not exist beside clips.csv, nor does a/2.mp4; expected a path from there "
        "with / between folders"
    )


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("a", "missing_file: row 3: a is a folder, not a file"),
        (".", "missing_file: row 3: . is a folder, not a file"),
        ("x" * 300, f"missing_file: row 3: {'x' * 300} does not exist beside clips.csv"),
        ("a/notes.txt", "no_medium: row 3: a/notes.txt is not a video or sound file, by name "),
    ],
)
def test_what_is_no_medium_is_quarantined_with_its_row(tmp_path: Path, file: str, reason: str) -> None:
    touch(tmp_path, "1.MP4", "a/notes.txt")
    write(tmp_path, f"video,speaker,emotion\n1.MP4,A,sad\n{file},A,sad\n")
    rows = scan(table, tmp_path)
    assert sorted(rows.status) == ["ok", "quarantined"]
    assert rows.reason.dropna().item().startswith(reason)


def test_what_an_edit_reads_may_stand_in_a_table(tmp_path: Path) -> None:
    names = ["a.webm", "b.m4v", "c.3gp", "d.opus", "e.ogg", "f.aac", "g.ts", "h.mpg", "i.WMV", "j.avi"]
    touch(tmp_path, *names)
    # no suffix, or one that says nothing
    for name in ("voice", "voice.dat"):
        (tmp_path / name).write_bytes(b"OggS")
    lines = "".join(f"{name},A,sad\n" for name in [*names, "voice", "voice.dat"])
    write(tmp_path, f"video,speaker,emotion\n{lines}")
    assert set(scan(table, tmp_path).status) == {"ok"}


def test_a_sound_that_is_no_medium_is_quarantined(tmp_path: Path) -> None:
    touch(tmp_path, "1.mp4", "1.png", "2.mp4")
    write(tmp_path, "video,audio,speaker,emotion\n1.mp4,1.png,A,sad\n2.mp4,,A,sad\n")
    assert scan(table, tmp_path).reason.dropna().item().startswith("no_medium: row 2: 1.png is not a video or sound")


def test_parquet_with_an_upper_case_suffix_counts_its_rows_from_one(tmp_path: Path) -> None:
    frame = pd.DataFrame({"Video": ["1.mp4", "2.mp4"], "speaker": [1, 2], "emotion": ["sad", "bored"]})
    frame.to_parquet(tmp_path / "MINE.PARQUET")
    with pytest.raises(UserError, match="row 2: unknown emotion 'bored'"):
        table.expected(tmp_path / "MINE.PARQUET")


def test_unknown_emotions_have_the_nearest_word_and_one_list_of_all(tmp_path: Path) -> None:
    write(tmp_path, "video,speaker,emotion\n1.mp4,A,Hapy\n2.mp4,A,surprized\n3.mp4,A,joyful\n")
    with pytest.raises(UserError) as caught:
        table.expected(tmp_path)
    assert str(caught.value).splitlines()[1:] == [
        "  row 2: unknown emotion 'Hapy', did you mean happy?",
        "  row 3: unknown emotion 'surprized', did you mean surprised?",
        "  row 4: unknown emotion 'joyful', did you mean happy?",
        f"known emotions are {', '.join(table.KNOWN_EMOTIONS)}",
    ]


@pytest.mark.parametrize("name", ["clips.csv", "clips.parquet"])
def test_a_table_that_is_a_pointer_of_git_lfs_says_how_to_get_it(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(pointer("a" * 64, 9))
    with pytest.raises(UserError, match=f'{name} is a git-lfs pointer to 9 bytes.*git lfs pull --include "{name}"'):
        table.expected(tmp_path)
