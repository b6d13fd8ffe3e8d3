import csv
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cmet.corpora import cremad, mead
from cmet.errors import UserError
from cmet.media.sound import write_sound
from cmet.media.video import write_video
from cmet.params import ClipForm
from cmet.scores.manifest import (
    FROM_COLUMNS,
    FROM_SOURCE,
    check_generated,
    manifest_remarks,
    read_manifest,
    unlike_judged,
)
from tests.unit.corpora.trees import pointer

HEADER = ["source_video_path", "gt_video_path", "gt_emotion", "intensity", "generated_path", "source_audio_path"]
MEAD = {
    "source_video_path": "M003/front/neutral/level_1/011.mp4",
    "gt_video_path": "M003/front/happy/level_3/001.mp4",
    "gt_emotion": "happy",
    "intensity": "level_3",
    "generated_path": "made/a.mp4",
    "source_audio_path": "M003/front/neutral/level_1/011.wav",
}
CREMAD = {
    "source_video_path": "FPS25/1001_DFA_NEU_XX.mp4",
    "gt_video_path": "FPS25/1001_DFA_ANG_XX.mp4",
    "gt_emotion": "ANG",
    "intensity": "XX",
    "generated_path": "made/b.mp4",
    "source_audio_path": "",
}


def write(folder: Path, *rows: dict, touch: bool = True) -> Path:
    """A manifest, and empty files in the places that it names."""
    header = list(dict.fromkeys(name for row in rows for name in row))
    path = folder / "manifest.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, header, restval="")
        writer.writeheader()
        writer.writerows(rows)
    for row in rows if touch else ():
        for column in ("source_video_path", "gt_video_path", "generated_path", "source_audio_path"):
            if row.get(column):
                (folder / row[column]).parent.mkdir(parents=True, exist_ok=True)
                (folder / row[column]).touch()
    return path


def test_names_and_gaps_are_read_whichever_system_wrote_them(tmp_path: Path) -> None:
    path = write(tmp_path, MEAD | {"generated_path": "mäde/a.mp4"})
    text = path.read_text(encoding="utf-8").replace("mäde/a", unicodedata.normalize("NFD", "mäde\\a"))
    path.write_text("sep=,\n" + text.replace("level_3,", "nan,"), encoding="utf-16")
    row = read_manifest(path).loc[2]
    assert row.video == tmp_path / "mäde/a.mp4"
    assert row.intensity == 3


def test_a_row_of_mead_is_read_as_the_corpus_calls_it(tmp_path: Path) -> None:
    rows = read_manifest(write(tmp_path, MEAD))
    row = rows.loc[2]
    clip = mead.parse(Path(MEAD["gt_video_path"]))
    assert (row.row_id, row.speaker, row.emotion, row.intensity, row.sentence) == (
        clip.clip_id,
        clip.speaker,
        clip.emotion,
        clip.intensity,
        clip.sentence,
    )
    assert row.source == tmp_path / MEAD["source_video_path"]
    assert row.truth == tmp_path / MEAD["gt_video_path"]
    assert row.video == tmp_path / "made/a.mp4"
    assert row.sound == tmp_path / MEAD["source_audio_path"]
    assert (row.method, row.protocol, row.reason, row.corpus) == (None, None, None, "mead")
    assert manifest_remarks(rows) == []


def test_codes_of_cremad_become_our_words(tmp_path: Path) -> None:
    row = read_manifest(write(tmp_path, CREMAD)).iloc[0]
    assert row.row_id == cremad.parse(Path(CREMAD["gt_video_path"])).clip_id == "cremad-1001-DFA-ANG-XX"
    assert (row.speaker, row.sentence, row.emotion, row.sound) == ("1001", "DFA", "angry", None)
    assert pd.isna(row.intensity)


def test_relative_paths_count_from_another_root_when_told(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    path = write(tmp_path / "data", MEAD).rename(tmp_path / "manifest.csv")
    assert read_manifest(path, tmp_path / "data").video.iloc[0] == tmp_path / "data/made/a.mp4"
    with pytest.raises(UserError, match=r"name a source_video_path that does not exist; relative paths start from"):
        read_manifest(path)


def test_a_missing_made_clip_stays_as_a_failed_row(tmp_path: Path) -> None:
    path = write(tmp_path, MEAD, CREMAD, {**CREMAD, "gt_video_path": "1001_DFA_SAD_XX.mp4", "gt_emotion": "SAD"})
    (tmp_path / "made/a.mp4").unlink()
    path.write_text(path.read_text(encoding="utf-8").replace("SAD,XX,made/b.mp4", "SAD,XX,"), encoding="utf-8")
    rows = read_manifest(path)
    assert list(rows.reason) == ["missing: made/a.mp4 is not there", None, "missing: generated_path is empty"]
    assert rows.video.isna().tolist() == [True, False, True]
    assert manifest_remarks(rows) == ["2 of 3 made clips are missing and count as wrong"]
    failure = check_generated(rows.iloc[0]).failure
    assert str(failure) == "missing: made/a.mp4 is not there"


def test_the_reason_for_a_missing_clip_has_no_absolute_folder(tmp_path: Path) -> None:
    path = write(tmp_path, {**MEAD, "generated_path": str(tmp_path / "made/a.mp4")})
    (tmp_path / "made/a.mp4").unlink()
    assert read_manifest(path).reason.iloc[0] == "missing: a.mp4 is not there"


def test_the_level_of_a_path_stands_in_for_an_empty_cell(tmp_path: Path) -> None:
    other = {**MEAD, "gt_video_path": "M003/front/happy/level_2/001.mp4", "intensity": ""}
    rows = read_manifest(write(tmp_path, {**MEAD, "intensity": ""}, other))
    assert list(rows.intensity) == [3, 2]
    assert rows.row_id.is_unique


def test_columns_tell_speaker_and_sentence_of_other_paths(tmp_path: Path) -> None:
    row = {**MEAD, "gt_video_path": "own/anna1.mp4", "speaker": "anna b", "sentence": "hello", "intensity": ""}
    read = read_manifest(write(tmp_path, row)).iloc[0]
    assert (read.speaker, read.sentence, read.row_id) == ("anna b", "hello", "anna_b-happy-x-hello")
    assert (read.labels_from, read.corpus) == (FROM_COLUMNS, None)


def test_without_any_labels_each_source_is_a_cluster_of_its_own_and_that_is_said(tmp_path: Path) -> None:
    paths = [("in/a.mp4", "true/a happy.mp4"), ("in/a.mp4", "true/a2.mp4"), ("in/b.mp4", "true/b.mp4")]
    rows = read_manifest(
        write(tmp_path, *({**MEAD, "source_video_path": source, "gt_video_path": truth} for source, truth in paths))
    )
    assert list(rows.row_id) == ["true-a_happy", "true-a2", "true-b"]
    assert rows.groupby(["speaker", "sentence"]).ngroups == 2
    assert set(rows.labels_from) == {FROM_SOURCE}
    assert "speaker and sentence of 3 row(s) are unknown" in manifest_remarks(rows)[0]


def test_one_id_may_stand_for_several_methods(tmp_path: Path) -> None:
    rows = read_manifest(write(tmp_path, {**MEAD, "method": "eat"}, {**MEAD, "method": "float"}))
    assert list(rows.method) == ["eat", "float"]
    assert rows.row_id.nunique() == 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([MEAD, MEAD, MEAD], r"2 row\(s\) have the id of an earlier row; name the rows in a column id: row 3 \(mead-"),
        ([{**MEAD, "id": "x"}, {**CREMAD, "id": "x"}], r"1 row\(s\) have the id of an earlier row: row 3 \(x\)"),
        ([{**MEAD, "id": "../x"}], r"1 row\(s\) have an id that cannot be a file name .* row 2 \(\.\./x\)"),
        ([{**MEAD, "id": "x" * 181}], "up to 180 bytes"),
        ([{**MEAD, "id": "a"}, {**CREMAD, "id": ""}], r"1 row\(s\) have no id; fill the column or leave it out: row 3"),
        (
            [{**MEAD, "gt_emotion": "joy"}],
            r"1 row\(s\) have an unknown emotion; known are angry, contempt, .*SAD: row 2 \(joy\)",
        ),
        ([MEAD, {**CREMAD, "gt_emotion": "NEU"}], r"1 row\(s\) want a neutral face; .*: row 3 \(NEU\)"),
        (
            [{**MEAD, "intensity": "strong"}],
            r"unknown intensity; known are level_1, .*, XX, or an empty cell: row 2 \(strong\)",
        ),
        (
            [{**MEAD, "gt_emotion": "sad"}],
            r"gt_emotion that contradicts the path of the true clip: row 2 \(sad for M003/front/happy",
        ),
        (
            [{**MEAD, "protocol": "a"}, {**CREMAD, "protocol": "b"}],
            r"rows of 2 protocols are mixed \(a from row 2, b from row 3\)",
        ),
        ([{**MEAD, "protocol": "a"}, {**CREMAD, "protocol": ""}], r"are mixed \(\(none\) from row 3, a from row 2\)"),
        (
            [{**MEAD, "method": "eat"}, {**CREMAD, "method": "eat"}, {**MEAD, "method": "float"}],
            r"every method must list the same rows, found eat 2, float 1; float lacks cremad-1001-DFA-ANG-XX; list it "
            r"with an empty generated_path \(it counts as wrong\), or score each method in a file of its own",
        ),
        ([{**MEAD, "source_video_path": ""}], r"1 row\(s\) have no source_video_path: row 2"),
    ],
)
def test_a_bad_row_is_one_message_with_its_place(tmp_path: Path, rows: list[dict], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        read_manifest(write(tmp_path, *rows))
    assert str(error.value).startswith(f"{tmp_path / 'manifest.csv'}: ")


@pytest.mark.parametrize("column", ["source_video_path", "gt_video_path", "source_audio_path"])
def test_files_that_must_be_there_are_counted_and_the_first_ones_named(tmp_path: Path, column: str) -> None:
    rows = [{**MEAD, "id": str(number), column: f"nowhere/{number}.mp4"} for number in range(8)]
    path = write(tmp_path, *rows)
    for file in (tmp_path / "nowhere").iterdir():
        file.unlink()
    with pytest.raises(UserError) as error:
        read_manifest(path)
    assert f"8 row(s) name a {column} that does not exist" in str(error.value)
    assert "row 2 (nowhere/0.mp4), row 3" in str(error.value)
    assert str(error.value).endswith("row 6 (nowhere/4.mp4) and 3 more")


def test_a_name_too_long_for_any_file_is_a_file_that_is_not_there(tmp_path: Path) -> None:
    path = write(tmp_path, MEAD)
    path.write_text(path.read_text(encoding="utf-8").replace("made/a", "a" * 300), encoding="utf-8")
    assert read_manifest(path).reason.iloc[0].startswith("missing: aaa")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (",".join(HEADER).encode() + b"\n", "no rows below the header"),
        (b"\0\1\2", "not a CSV file"),
        (b"just words\nand more\n", "no column source_video_path, gt_video_path, gt_emotion, generated_path; expected"),
        (b"source_video_path,gt_video_path,gt_emotion\na,b,happy\n", "no column generated_path; expected"),
    ],
)
def test_another_kind_of_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_manifest(path)


def test_no_file_at_all_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere.csv: no such file"):
        read_manifest(tmp_path / "nowhere.csv")


def row_of(folder: Path, num_made: int, num_source: int = 120, fps: float = 25, px: int = 64, sound: bool = True):
    """A row with a source of 64 x 64 pixels at 25 frames/s and a made clip."""
    tone = folder / "tone.wav"
    write_sound(tone, np.zeros(16000, np.float32), 16000)
    write_video(folder / "source.mp4", np.zeros((num_source, 64, 64, 3), np.uint8), 25, tone)
    write_video(folder / "made.mp4", np.zeros((num_made, px, px, 3), np.uint8), fps, tone if sound else None)
    return pd.Series({"source": folder / "source.mp4", "video": folder / "made.mp4", "reason": None})


def test_a_clip_like_its_source_has_no_remark(tmp_path: Path) -> None:
    checked = check_generated(row_of(tmp_path, 120))
    assert (checked.failure, checked.remarks) == (None, [])


@pytest.mark.parametrize(
    ("num_made", "num_source", "remark"),
    [
        (119, 120, "too_few_frames: 119 of 120"),
        (18, 20, "too_few_frames: 18 of 20"),
        (147, 150, "too_few_frames: 147 of 150"),
        (122, 120, "more_frames: 122 of 120"),
    ],
)
def test_a_few_frames_more_or_less_are_a_remark(tmp_path: Path, num_made: int, num_source: int, remark: str) -> None:
    checked = check_generated(row_of(tmp_path, num_made, num_source))
    assert (checked.failure, checked.remarks) == (None, [remark])


@pytest.mark.parametrize(("num_made", "num_source"), [(17, 20), (146, 150)])
def test_a_clip_that_ends_early_counts_as_failed(tmp_path: Path, num_made: int, num_source: int) -> None:
    failure = check_generated(row_of(tmp_path, num_made, num_source)).failure
    assert str(failure) == f"too_few_frames: {num_made} of {num_source}"


def test_another_rate_is_a_remark_and_frames_count_at_it(tmp_path: Path) -> None:
    checked = check_generated(row_of(tmp_path, 24, 20, fps=30))
    assert (checked.failure, checked.remarks) == (None, ["other_rate: 30 frames/s, the source 25"])
    checked = check_generated(row_of(tmp_path, 20, 20, fps=30))
    assert str(checked.failure) == "too_few_frames: 20 of 24"


def test_size_and_sound_are_remarks(tmp_path: Path) -> None:
    checked = check_generated(row_of(tmp_path, 120, px=32, sound=False))
    assert checked.failure is None
    assert checked.remarks == [
        "no_sound: lips are compared with the sound of the source",
        "other_size: 32x32, the source 64x64",
    ]


def test_an_unreadable_made_clip_fails_and_an_unreadable_source_is_a_remark(tmp_path: Path) -> None:
    row = row_of(tmp_path, 20)
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    assert check_generated(pd.Series({**row, "video": tmp_path / "broken.mp4"})).failure.code == "unreadable_video"
    checked = check_generated(pd.Series({**row, "source": tmp_path / "broken.mp4"}))
    assert checked.failure is None
    assert checked.remarks[0].startswith("source_unreadable: broken.mp4")


def test_what_differs_from_the_clips_that_a_judge_was_trained_on_is_a_remark_and_never_a_failure(
    tmp_path: Path,
) -> None:
    clips = ClipForm(size_px=256, fps=30, sample_rate_hz=16_000, crop_rule="fomm-reflect-1")
    row = row_of(tmp_path, 120)
    checked = check_generated(row, clips)
    assert checked.failure is None
    assert checked.remarks == [
        "other_size_than_judge: 64x64, the judge was trained on 256x256",
        "other_rate_than_judge: 25 frames/s, the judge was trained on 30",
    ]
    assert unlike_judged(row.video, clips) == checked.remarks
    same = clips.model_copy(update={"size_px": 64, "fps": 25})
    assert (unlike_judged(row.video, same), check_generated(row, same).remarks) == ([], [])


def test_a_made_clip_that_was_not_fetched_says_how(tmp_path: Path) -> None:
    path = write(tmp_path, MEAD)
    (tmp_path / "made/a.mp4").write_bytes(pointer("a" * 64, 9))
    failure = check_generated(read_manifest(path).loc[2]).failure
    assert failure is not None
    assert failure.code == "lfs_pointer"
    assert 'git lfs pull --include "a.mp4"' in failure.message
