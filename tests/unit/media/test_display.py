from itertools import product
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from cmet.errors import ClipError
from cmet.media.video import VideoFile, read_video, write_video
from tests.unit.media.making import encode, remux, with_matrix
from tests.unit.media.patches import encode_patches

STEPS = [((right, 0), (0, down)) for right, down in product((1, -1), repeat=2)] + [
    ((0, right), (down, 0)) for right, down in product((1, -1), repeat=2)
]
"""Where a step to the right in a stored picture leads as it is shown, and where one down: all turns and mirrors."""


def picture() -> np.ndarray:
    """64x96, with another colour in each quarter."""
    quarters = np.array([[(200, 40, 40), (40, 200, 40)], [(40, 40, 200), (220, 220, 220)]])
    return np.kron(quarters, np.ones((32, 48, 1))).astype(np.uint8)


def as_shown(stored: np.ndarray, right: tuple[int, int], down: tuple[int, int]) -> np.ndarray:
    """Each pixel put where the matrix leads it."""
    rows, columns = np.mgrid[: stored.shape[0], : stored.shape[1]]
    x, y = (right[axis] * columns + down[axis] * rows for axis in (0, 1))
    x, y = x - x.min(), y - y.min()
    result = np.zeros((y.max() + 1, x.max() + 1, 3), np.uint8)
    result[y, x] = stored
    return result


@pytest.mark.parametrize(("right", "down"), STEPS)
def test_a_turned_or_mirrored_picture_is_read_as_it_is_shown(
    tmp_path: Path, right: tuple[int, int], down: tuple[int, int]
) -> None:
    path = with_matrix(encode(tmp_path / "in.mp4", [picture()] * 3, range(0, 120, 40)), right, down)
    expected = as_shown(picture(), right, down)
    file = VideoFile(path)
    assert (file.height, file.width) == expected.shape[:2]
    assert np.abs(read_video(path).frames[1].astype(int) - expected).max() < 40


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "size", "pixel_shape", "width", "height"),
    [
        ("a.mp4", "libx264", "yuv420p", (96, 120), "5:4", 120, 120),
        ("b.mkv", "libx264", "yuv420p", (96, 120), "5:4", 120, 120),
        # in the container alone
        ("d.mov", "png", "rgb24", (96, 120), "5:4", 120, 120),
        # in the stream alone
        ("e.avi", "mpeg4", "yuv420p", (96, 120), "5:4", 120, 120),
        ("f.mpg", "mpeg2video", "yuv420p", (720, 576), "64:45", 1024, 576),
        ("g.ts", "mpeg2video", "yuv420p", (720, 480), "8:9", 720, 540),
        ("h.avi", "dvvideo", "yuv420p", (720, 576), "16:15", 768, 576),
        ("i.avi", "dvvideo", "yuv420p", (720, 576), "64:45", 1024, 576),
        ("j.mp4", "libx264", "yuv420p", (64, 64), "2:1", 128, 64),
        ("k.mp4", "libx264", "yuv420p", (96, 120), "241:240", 96, 120),
        ("l.mp4", "libx264", "yuv420p", (96, 120), "1:1", 96, 120),
    ],
)
def test_pixels_become_square(
    tmp_path: Path,
    name: str,
    codec: str,
    pix_fmt: str,
    size: tuple[int, int],
    pixel_shape: str,
    width: int,
    height: int,
) -> None:
    path = encode_patches(tmp_path / name, codec, pix_fmt, size=size, pixel_shape=pixel_shape)
    file = VideoFile(path)
    assert (file.width, file.height) == (width, height)
    assert next(file.frames_at([1])).shape == (height, width, 3)


def test_pixels_are_stretched_before_the_picture_is_turned(tmp_path: Path) -> None:
    path = encode_patches(tmp_path / "in.mp4", "libx264", "yuv420p", size=(64, 64), pixel_shape="2:1")
    with_matrix(path, right=(0, 1), down=(-1, 0))
    file = VideoFile(path)
    assert (file.width, file.height) == (64, 128)
    assert next(file.frames_at([0])).shape == (128, 64, 3)


def test_a_shape_that_makes_a_huge_picture_is_refused(tmp_path: Path) -> None:
    encode_patches(tmp_path / "in.mp4", "libx264", "yuv420p", size=(640, 64), pixel_shape="40:1")
    with pytest.raises(ClipError, match="too_large: in.mp4 has frames of 25600x64"):
        VideoFile(tmp_path / "in.mp4")


def test_what_was_read_of_such_a_file_is_written_as_it_was_shown(tmp_path: Path) -> None:
    path = encode_patches(tmp_path / "in.mp4", "libx264", "yuv420p", size=(96, 120), pixel_shape="5:4")
    write_video(tmp_path / "out.mp4", read_video(path).frames, 25)
    with av.open(str(tmp_path / "out.mp4")) as container:
        track = container.streams.video[0]
        assert (track.width, track.height) == (120, 120)
        assert track.sample_aspect_ratio in (None, 1)


def test_a_mirrored_file_stays_so_in_another_container(tmp_path: Path) -> None:
    path = with_matrix(encode(tmp_path / "in.mp4", [picture()] * 3, range(0, 120, 40)), (-1, 0), (0, 1))
    copied = remux(path, tmp_path / "in.mov")
    expected = as_shown(picture(), (-1, 0), (0, 1))
    assert np.abs(read_video(copied).frames[0].astype(int) - expected).max() < 40


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_pictures_with_exif_are_turned_as_it_says(tmp_path: Path, orientation: int, turns: int) -> None:
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:32, :48] = 250
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(picture).save(tmp_path / "camera.jpg", exif=exif)
    (frame,) = VideoFile(tmp_path / "camera.jpg").frames_at([0])
    assert np.abs(frame.astype(int) - np.rot90(picture, turns)).mean() < 4
