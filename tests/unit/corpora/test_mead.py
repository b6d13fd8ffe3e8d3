import os
from pathlib import Path
from typing import get_args

import pandas as pd
import pytest

from cmet.corpora import mead
from cmet.corpora.clip import NotWanted
from cmet.corpora.listing import list_corpus
from cmet.corpora.registry import corpus_in_views
from cmet.corpora.scan import scan, write_manifest
from cmet.errors import UserError
from cmet.params import ViewName
from tests.properties import given
from tests.properties import strategies as st
from tests.unit.corpora.trees import HTML, fill, touch, write_tar, write_zip

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
    assert rows.reason.dropna().str.match("refused_member: .* points outside").to_list() == [True]


def test_the_same_clip_in_two_archives_is_ambiguous(tmp_path: Path) -> None:
    touch(tmp_path, "M003/front/sad/level_3/002.mp4")
    for number in (1, 2):
        write_tar(tmp_path / f"M003/video_{number}.tar", ["front/sad/level_3/001.mp4"], bytes([number]) * 9)
    rows = scan(mead, tmp_path)
    assert rows.reason.dropna().str.match(r"ambiguous: mead-M003-sad-3-001 has 2 videos").to_list() == [True]


def test_what_is_passed_over_is_counted_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = "M003/front/sad/level_3"
    other = [f"{folder}/00{number}.xyz" for number in range(6)]
    touch(
        tmp_path,
        f"{folder}/001.mp4",
        f"{folder}/001.opus",
        f"{folder}/._001.mp4",
        "train.txt",
        "README.md",
        "Thumbs.db",
        *other,
    )
    write_tar(tmp_path / "M005/video.tar", ["front/sad/level_3/001.mp4", "__MACOSX/._001.mp4"])
    (tmp_path / folder / "002.dat").write_bytes(b"OggS")
    listing = list_corpus(mead, tmp_path)
    files = [(found.video, found.audio) for found in listing.found if found.clip.speaker == "M003"]
    assert files == [(f"{folder}/001.mp4", f"{folder}/001.opus"), (f"{folder}/002.dat", None)]
    write_manifest(mead, tmp_path, tmp_path, tmp_path / "out")
    assert capsys.readouterr().err == (
        f"{tmp_path}: 8 files are no video or sound and were passed over: {folder}/._001.mp4, {', '.join(other[:4])} "
        "and 3 more\n"
    )


def test_hidden_files_and_folders_are_no_clips(tmp_path: Path) -> None:
    touch(tmp_path, "M003/front/sad/level_3/001.mp4", "M003/front/sad/level_3/._001.mp4", ".cache/x.mp4")
    assert len(scan(mead, tmp_path)) == 1


@pytest.mark.parametrize("archive", ["video(1).tar", "VIDEO.TAR", "video-002.tar"])
def test_archives_may_have_the_names_that_browsers_give_them(tmp_path: Path, archive: str) -> None:
    write_tar(tmp_path / "M003" / archive, ["front/sad/level_3/001.mp4"])
    assert scan(mead, tmp_path).video.to_list() == [f"M003/{archive}/front/sad/level_3/001.mp4"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("video.tar.gz", "make it a plain .tar"),
        ("video.tar.part", "an unfinished download"),
        ("video.tar.001", "join the parts first"),
    ],
)
def test_archives_that_cannot_be_read_in_place_are_named(tmp_path: Path, name: str, reason: str) -> None:
    touch(tmp_path, "M003/front/sad/level_3/001.mp4", f"M005/{name}")
    assert scan(mead, tmp_path).reason.dropna().str.contains(f"unsupported_archive: M005/{name}: .*{reason}").all()


def test_gzip_and_zip_under_the_name_of_a_tar_are_recognised(tmp_path: Path) -> None:
    touch(tmp_path, "M003/front/sad/level_3/001.mp4")
    fill(tmp_path, ["M005/video.tar"], b"\x1f\x8b" + bytes(600))
    write_zip(tmp_path / "M007/video.tar", ["front/sad/level_3/001.mp4"])
    reasons = scan(mead, tmp_path).reason.dropna().to_list()
    assert ["gunzip it first" in reason or "rename it to .zip" in reason for reason in reasons] == [True, True]


def test_a_clip_beside_its_archive_is_taken_from_beside_it(tmp_path: Path) -> None:
    touch(tmp_path, "M003/video/front/sad/level_3/001.mp4")
    write_tar(tmp_path / "M003/video.tar", ["video/front/sad/level_3/001.mp4", "video/front/sad/level_3/002.mp4"])
    listing = list_corpus(mead, tmp_path)
    assert [found.video for found in listing.found] == [
        "M003/video/front/sad/level_3/001.mp4",
        "M003/video.tar/video/front/sad/level_3/002.mp4",
    ]
    assert listing.not_wanted == {"also_in_archive": 1}


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    touch(tmp_path / "disk", "M003/front/sad/level_3/001.mp4")
    (tmp_path / "root").mkdir()
    (tmp_path / "root/M003").symlink_to(tmp_path / "disk/M003")
    (tmp_path / "disk/M003/front/loop").symlink_to(tmp_path / "disk/M003")
    rows = scan(mead, tmp_path / "root", tmp_path / "disk")
    assert rows.video.to_list() == ["M003/front/sad/level_3/001.mp4"]
    assert rows.status.to_list() == ["ok"]


def test_what_cannot_be_opened_is_a_row_and_not_the_end(tmp_path: Path) -> None:
    touch(tmp_path, "M003/front/sad/level_3/001.mp4")
    for name in ("M003/front/sad/level_3/002.mp4", "M005/video.tar"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "M003/front/sad/level_3/003.mp4")
    Path(os.fsdecode(bytes(tmp_path) + b"/M003/front/sad/level_3/\xff.mp4")).touch()
    reasons = scan(mead, tmp_path).reason.dropna().str.split(":").str[0]
    assert sorted(reasons) == ["bad_name", "unreadable_file", "unreadable_file", "unreadable_file"]
    assert len(write_manifest(mead, tmp_path, tmp_path, tmp_path / "out").quarantined_by_reason) == 2


@pytest.mark.parametrize(("root", "hint"), [("M003", "MEAD"), ("", "MEAD")])
def test_a_root_one_folder_off_is_told(tmp_path: Path, root: str, hint: str) -> None:
    touch(tmp_path / "MEAD", "M003/front/sad/level_3/001.mp4")
    given = tmp_path / "MEAD" / root if root else tmp_path
    with pytest.raises(UserError, match=rf"none of its 1 clip\(s\) can be read.*; did you mean .*{hint}\?"):
        scan(mead, given)


def test_columns_without_a_value_come_back_as_nothing(tmp_path: Path) -> None:
    root = touch(tmp_path / "c", "M003/front/sad/level_3/001.mp4", "M003/front/x.mp4")
    write_manifest(mead, root, root, tmp_path / "out")
    assert pd.read_parquet(tmp_path / "out/manifest.parquet").audio.to_list() == [None, None]


def test_views_that_are_named_are_clips_of_their_own_with_the_sound_of_the_utterance(tmp_path: Path) -> None:
    write_tar(
        tmp_path / "M003/video.tar",
        [
            "front/sad/level_3/001.mp4", "left_30/sad/level_3/001.mp4", "top/sad/level_3/001.mp4",
            "left_30/sad/level_3/002.mp4",
        ],
    )  # fmt: skip
    write_tar(tmp_path / "M003/audio.tar", [f"audio/sad/level_3/{number:03d}.m4a" for number in (1, 2, 3)])
    listing = list_corpus(corpus_in_views("mead", ["front", "left_30"]), tmp_path)
    # nobody filmed the third
    assert {found.clip.clip_id: (found.clip.view, found.audio) for found in listing.found} == {
        "mead-M003-sad-3-001": ("front", "M003/audio.tar/audio/sad/level_3/001.m4a"),
        "mead-M003-left_30-sad-3-001": ("left_30", "M003/audio.tar/audio/sad/level_3/001.m4a"),
        "mead-M003-left_30-sad-3-002": ("left_30", "M003/audio.tar/audio/sad/level_3/002.m4a"),
        "mead-M003-sad-3-003": (None, "M003/audio.tar/audio/sad/level_3/003.m4a"),
    }
    assert listing.not_wanted == {"other_view": 1}


def test_the_frontal_view_need_not_be_among_them(tmp_path: Path) -> None:
    touch(tmp_path, "M003/front/sad/level_3/001.mp4", "M003/audio/sad/level_3/001.m4a", "M003/top/sad/level_3/001.mp4")
    rows = scan(corpus_in_views("mead", ["top"]), tmp_path)
    assert rows.clip_id.to_list() == ["mead-M003-top-sad-3-001"]
    assert rows.view.to_list() == ["top"]
    assert rows.audio.to_list() == ["M003/audio/sad/level_3/001.m4a"]


@pytest.mark.parametrize("sound", ["M003/audio/sad/level_3/001.m4a", "M003/sad/level_3/001.wav"])
def test_a_sound_whose_path_says_no_view_leaves_its_picture_the_view(tmp_path: Path, sound: str) -> None:
    touch(tmp_path, "M003/front/sad/level_3/001.mp4", sound)
    rows = scan(mead, tmp_path)
    assert rows[["view", "audio"]].to_numpy().tolist() == [["front", sound]]


def test_all_views_are_seven_times_the_clips() -> None:
    clips = corpus_in_views("mead", mead.VIEWS).expected(Path())
    assert len({clip.clip_id for clip in clips}) == len(clips) == 7 * 31_490
    assert {clip.clip_id for clip in mead.expected(Path())} <= {clip.clip_id for clip in clips}


def test_a_view_that_a_corpus_does_not_have_is_named() -> None:
    with pytest.raises(UserError, match="mead has no view left_45; it has front, left_30"):
        corpus_in_views("mead", ["front", "left_45"])
    with pytest.raises(UserError, match="ravdess has no view top; it has front"):
        corpus_in_views("ravdess", ["top"])
    assert set(mead.VIEWS) == set(get_args(ViewName))
