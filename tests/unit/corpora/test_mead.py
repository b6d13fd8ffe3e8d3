from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmet.corpora import mead, scan
from cmet.corpora.listing import NotWanted
from cmet.errors import ClipError
from tests.unit.corpora.trees import HTML, fill, touch, write_tar

SPEAKERS = st.sampled_from(sorted(mead.SPLITS))
PLACES = ("", "video.tar/", "video_1.tar/", "video.tar/video/", "video/")


@given(
    speaker=SPEAKERS,
    place=st.sampled_from(PLACES),
    emotion=st.sampled_from(mead.TARGET_EMOTIONS),
    level=st.sampled_from(mead.LEVELS),
    number=st.integers(0, 999),
)
def test_labels_survive_the_way_through_a_path(speaker: str, place: str, emotion: str, level: int, number: int) -> None:
    clip = mead.parse(Path(f"{speaker}/{place}front/{emotion}/level_{level}/{number:03d}.mp4"))
    assert (clip.speaker, clip.emotion, clip.intensity) == (speaker, emotion, level)
    assert clip.sentence == f"{number:03d}"
    assert clip.split == mead.SPLITS[speaker]
    assert clip.clip_id == f"mead-{speaker}-{emotion}-{level}-{number:03d}"


@given(st.text())
def test_a_name_is_read_right_or_refused_as_bad(name: str) -> None:
    try:
        clip = mead.parse(Path(name))
    except NotWanted:
        return
    except ClipError as error:
        assert error.code in ("bad_name", "unknown_speaker")
    else:
        assert clip.clip_id.endswith(Path(name).stem)


@pytest.mark.parametrize("view", [view for view in mead.VIEWS if view != "front"])
def test_other_views_are_not_wanted(view: str) -> None:
    with pytest.raises(NotWanted, match="other_view"):
        mead.parse(Path(f"M003/video.tar/{view}/sad/level_1/001.mp4"))


def test_the_complete_corpus_has_31490_clips() -> None:
    clips = mead.expected(Path())
    assert len({clip.clip_id for clip in clips}) == len(clips) == 47 * 670


def test_released_archives_are_read_as_folders_and_the_sound_goes_to_its_picture(tmp_path: Path) -> None:
    write_tar(
        tmp_path / "M003/video.tar",
        ["./video/front/sad/level_3/001.mp4", "video/left_30/sad/level_3/001.mp4", "video/top/sad/level_3/001.mp4"],
    )
    write_tar(tmp_path / "W009/video_2.tar", ["front/sad/level_3/002.mp4"])
    write_tar(tmp_path / "M003/audio.tar", ["audio/sad/level_3/001.m4a", "audio/sad/level_3/002.m4a"])
    rows = scan(mead, tmp_path)
    assert rows.clip_id.to_list() == ["mead-M003-sad-3-001", "mead-M003-sad-3-002", "mead-W009-sad-3-002"]
    assert rows.video.to_list() == [
        "M003/video.tar/video/front/sad/level_3/001.mp4",
        None,
        "W009/video_2.tar/front/sad/level_3/002.mp4",
    ]
    assert rows.audio[0] == "M003/audio.tar/audio/sad/level_3/001.m4a"


def test_an_archive_that_is_a_web_page_is_one_quarantined_row(tmp_path: Path) -> None:
    touch(tmp_path, "M003/front/sad/level_3/001.mp4")
    fill(tmp_path, ["M019/video.tar"], HTML)
    rows = scan(mead, tmp_path)
    assert rows.reason.dropna().str.startswith("html_page").to_list() == [True]
    assert rows.clip_id[rows.status == "quarantined"].to_list() == ["mead-M019-video.tar"]


def test_what_a_cut_archive_still_holds_is_used_and_the_cut_is_a_row(tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "M003/video.tar", [f"front/sad/level_3/00{n}.mp4" for n in range(1, 10)], bytes(5000))
    tar.write_bytes(tar.read_bytes()[:20_000])
    rows = scan(mead, tmp_path)
    assert rows.reason.dropna().str.startswith("truncated_archive").to_list() == [True]
    assert (rows.status == "ok").sum() == 3


@pytest.mark.parametrize("name", ["../M003/front/sad/level_3/001.mp4", "/front/sad/level_3/001.mp4"])
def test_members_that_leave_their_archive_are_refused(tmp_path: Path, name: str) -> None:
    write_tar(tmp_path / "M003/video.tar", [name, "front/sad/level_3/002.mp4"])
    rows = scan(mead, tmp_path)
    assert rows.sentence.dropna().to_list() == ["002"]
    assert rows.reason.dropna().str.match("refused_member: .* leaves the folder").to_list() == [True]


def test_the_same_clip_in_a_folder_and_in_an_archive_is_ambiguous(tmp_path: Path) -> None:
    touch(tmp_path, "M003/front/sad/level_3/001.mp4", "M003/front/sad/level_3/002.mp4")
    write_tar(tmp_path / "M003/video.tar", ["front/sad/level_3/001.mp4"])
    rows = scan(mead, tmp_path)
    assert rows.reason.dropna().str.match(r"ambiguous: mead-M003-sad-3-001 has 2 videos").to_list() == [True]


def test_hidden_files_and_folders_are_no_clips(tmp_path: Path) -> None:
    touch(tmp_path, "M003/front/sad/level_3/001.mp4", "M003/front/sad/level_3/._001.mp4", ".cache/x.mp4")
    assert len(scan(mead, tmp_path)) == 1
