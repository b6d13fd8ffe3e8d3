from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from cmet.errors import UserError
from cmet.media.sound import write_sound
from cmet.media.uploads import UploadLimits, check_number, check_upload
from cmet.media.video import write_video

Kind = Literal["video", "sound"]


@pytest.fixture
def files(tmp_path: Path, tone: Path) -> Path:
    """Files of two seconds, each in another garb."""
    frames = np.zeros((50, 64, 64, 3), np.uint8)
    write_video(tmp_path / "v.mp4", frames, 25, tone)
    write_video(tmp_path / "silent.mp4", frames, 25)
    write_sound(tmp_path / "s.wav", np.zeros(32_000), 16_000)
    (tmp_path / "v.txt").write_bytes((tmp_path / "v.mp4").read_bytes())
    (tmp_path / "page.mp4").write_text("<html>" * 99)
    (tmp_path / "picture.mp4").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(999))
    (tmp_path / "list.mp4").write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n")
    (tmp_path / "half.mp4").write_bytes((tmp_path / "v.mp4").read_bytes()[:400])
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "folder.mp4").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "kind"), [("v.mp4", "video"), ("v.txt", "video"), ("s.wav", "sound"), ("v.mp4", "sound")]
)
def test_what_is_what_it_should_be_is_taken(files: Path, name: str, kind: Kind) -> None:
    check_upload(files / name, kind)


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("page.mp4", "video", "page.mp4 is no video, whatever its name; give a video"),
        ("picture.mp4", "video", "picture.mp4 is no video"),
        ("list.mp4", "sound", "list.mp4 is no sound"),
        ("half.mp4", "video", "half.mp4 holds no picture that can be read"),
        ("s.wav", "video", "s.wav holds no picture"),
        ("silent.mp4", "sound", "silent.mp4 holds no sound"),
        ("empty.mp4", "video", "empty.mp4 is empty"),
        ("folder.mp4", "video", "folder.mp4 is a folder"),
        ("none.mp4", "video", "none.mp4 no such file"),
    ],
)
def test_what_is_something_else_is_one_sentence_without_its_folder(
    files: Path, name: str, kind: Kind, said: str
) -> None:
    with pytest.raises(UserError) as told:
        check_upload(files / name, kind)
    assert str(told.value).startswith(said)
    assert str(files) not in str(told.value)


def test_what_is_too_large_or_too_long_is_refused(files: Path) -> None:
    with pytest.raises(UserError, match=r"v.mp4 has \d+ MiB; at most 0 MiB are taken"):
        check_upload(files / "v.mp4", "video", UploadLimits(size_bytes=99))
    with pytest.raises(UserError, match="v.mp4 lasts longer than 0.02 minutes; cut it"):
        check_upload(files / "v.mp4", "video", UploadLimits(duration_s=1.2))
    check_upload(files / "v.mp4", "video", UploadLimits(duration_s=2.0))


def test_no_more_are_taken_together_than_the_limit_says() -> None:
    recordings = [Path(f"{number}.wav") for number in range(51)]
    check_number(recordings[:50], "recordings")
    with pytest.raises(UserError, match="^51 recordings are given; at most 50 are taken$"):
        check_number(recordings, "recordings")
    with pytest.raises(UserError, match="at most 3 are taken"):
        check_number(recordings[:4], "recordings", UploadLimits(num_files=3))


def test_a_header_that_lies_of_its_length_is_not_believed(files: Path) -> None:
    content = bytearray((files / "silent.mp4").read_bytes())
    for box, place in ((b"mvhd", 20), (b"tkhd", 24), (b"mdhd", 20)):
        start = content.index(box) + place
        content[start : start + 4] = (1).to_bytes(4, "big")
    (files / "lies.mp4").write_bytes(content)
    with pytest.raises(UserError, match="lasts longer than"):
        check_upload(files / "lies.mp4", "video", UploadLimits(duration_s=1.2))
