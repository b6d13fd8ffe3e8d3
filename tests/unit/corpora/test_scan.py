from pathlib import Path

import pytest

from cmet.corpora import mead
from cmet.corpora.product import TABLE, Manifest
from cmet.corpora.sample import layout as sample
from cmet.corpora.scan import scan, write_manifest
from cmet.errors import ClipError, UserError
from tests.layouts import rename
from tests.unit.corpora.trees import touch


def test_picture_and_sound_of_one_stem_are_one_clip(tmp_path: Path) -> None:
    folder = "M003/front/happy/level_3"
    rows = scan(mead, touch(tmp_path, f"{folder}/021.mp4", f"{folder}/021.wav", f"{folder}/022.wav"))
    assert rows.clip_id.to_list() == ["mead-M003-happy-3-021", "mead-M003-happy-3-022"]
    assert rows.video.to_list() == [f"{folder}/021.mp4", None]
    assert rows.audio.to_list() == [f"{folder}/021.wav", f"{folder}/022.wav"]
    assert rows.split.to_list() == ["test", "test"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("M003/front/joy/level_3/021.mp4", "bad_name"),
        ("M003/happy/level_3/021.mp4", "bad_name"),
        ("M003/front/neutral/level_2/021.mp4", "bad_name: .*neutral has level_1 only"),
        ("M003/front/happy/level_4/021.mp4", "bad_name"),
        ("M003/front/happy/level_3/21.mp4", "bad_name"),
        ("M099/front/happy/level_3/021.mp4", "unknown_speaker"),
    ],
)
def test_a_file_that_cannot_be_labelled_is_a_quarantined_row(tmp_path: Path, name: str, reason: str) -> None:
    rows = scan(mead, touch(tmp_path, "M003/front/happy/level_1/001.mp4", name))
    bad = rows[rows.status == "quarantined"]
    assert len(rows) == 2
    assert len(bad) == 1
    assert bad.reason.str.match(reason).all()


def test_a_missing_folder_an_empty_one_and_one_that_is_no_corpus_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such folder; set manifest\.root"):
        scan(mead, tmp_path / "nowhere")
    with pytest.raises(UserError, match="no video or sound file below this folder"):
        scan(mead, tmp_path)
    with pytest.raises(UserError, match=r"not a mead corpus: none of its 1 clip\(s\) can be read"):
        scan(mead, touch(tmp_path, "holiday.mp4"))


def test_folders_of_the_drive_get_the_names_of_the_papers_lists(tmp_path: Path) -> None:
    rows = scan(mead, touch(tmp_path, "W021/front/sad/level_1/001.wav"))
    assert rows.speaker.to_list() == ["W021-1"]
    assert rows.split.to_list() == ["train"]


def test_the_sample_corpus_brings_its_own_splits(tmp_path: Path) -> None:
    for split, speaker in {"train": "M101", "val": "W102", "test": "M103"}.items():
        (tmp_path / f"{split}.txt").write_text(f"{speaker}\n")
        touch(tmp_path, f"{speaker}/front/neutral/level_1/001.mp4")
    rows = scan(sample, tmp_path)
    assert dict(zip(rows.speaker, rows.split, strict=True)) == {"M101": "train", "M103": "test", "W102": "val"}


def test_the_real_mead_subset_has_three_speakers_and_eight_emotions(real: Path) -> None:
    rows = scan(mead, real / "MEAD/FPS25")
    assert (rows.status == "ok").all()
    assert sorted(rows.speaker.unique()) == ["M003", "M030", "W009"]
    assert rows.emotion.nunique() == 8
    assert rows.groupby("speaker").emotion.nunique().eq(8).all()


def test_parse_opens_no_file_and_keeps_the_path_in_its_message() -> None:
    with pytest.raises(ClipError, match=r"x/y\.mp4: expected <ID>/front"):
        mead.parse(Path("x/y.mp4"))


def test_the_papers_split_has_43_and_4_speakers() -> None:
    assert (len(set(mead.TRAIN)), len(set(mead.TEST))) == (43, 4)
    assert not set(mead.TRAIN) & set(mead.TEST)


def test_the_manifest_is_called_by_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renamed, manifest = rename(monkeypatch, "corpora", TABLE), Manifest(tmp_path / "out")
    root = touch(tmp_path / "corpus", "M003/front/happy/level_1/001.mp4")
    write_manifest(mead, root, root, manifest.folder)
    assert manifest.table.clip_id.to_list() == ["mead-M003-happy-1-001"]
    assert [path.name for path in manifest.folder.iterdir()] == [renamed]
