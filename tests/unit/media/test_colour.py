from pathlib import Path

import av
import numpy as np
import pytest

from cmet.errors import ClipError
from cmet.media.video import VideoFile, write_video
from tests.unit.media.patches import NO_TAGS, PATCHES, Tags, centres, encode_patches, shown

NEAR = 2
HD, SMALL = (1280, 64), (64, 64)


def read(path: Path) -> np.ndarray:
    return next(VideoFile(path).frames_at([1]))


@pytest.mark.parametrize("is_full", [False, True])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "yuv422p10le"])
@pytest.mark.parametrize(
    ("matrix", "tags", "size"),
    [
        (1, (1, 1, 1), SMALL),
        (1, (1, 2, 2), HD),
        (6, (6, 6, 6), HD),
        (5, (5, 5, 6), SMALL),
        (7, (7, 7, 7), SMALL),
        # as players guess: by the size
        (6, NO_TAGS, SMALL),
        (6, NO_TAGS, (720, 576)),
        (1, NO_TAGS, HD),
        (1, NO_TAGS, (64, 1280)),
        (1, (3, 3, 3), HD),
    ],
)
def test_colours_are_read_by_tag_or_as_players_guess_and_written_with_tags(
    tmp_path: Path, matrix: int, tags: Tags, size: tuple[int, int], pix_fmt: str, is_full: bool
) -> None:
    path = encode_patches(tmp_path / "in.mkv", "ffv1", pix_fmt, matrix, is_full, tags, size)
    picture = read(path)
    # decord rounds down
    is_rough = pix_fmt == "yuv420p" and not is_full
    assert np.abs(centres(picture) - PATCHES).max() <= NEAR + is_rough
    write_video(tmp_path / "out.mp4", [picture] * 3, 25, crf=4, shown=VideoFile(path).colour.shown)
    result, written, its_range = shown(tmp_path / "out.mp4")
    assert np.abs(centres(result) - centres(picture)).max() <= NEAR
    assert its_range == 1
    large = size[0] >= 1280 or size[1] > 576
    usual = 1 if large or tags[0] == 1 else 6
    assert written[0] == (1 if large else 6)
    assert written[1:] == tuple(usual if tag in (2, 3) else tag for tag in tags[1:])


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "suffix"),
    [("libx264rgb", "rgb24", "mp4"), ("ffv1", "gbrp10le", "mkv"), ("qtrle", "rgb24", "mov"), ("png", "rgb24", "mov")],
)
def test_rgb_is_read_as_it_is(tmp_path: Path, codec: str, pix_fmt: str, suffix: str) -> None:
    picture = np.kron(PATCHES.reshape(2, 4, 3), np.ones((32, 320, 1))).astype(np.uint8)
    path = tmp_path / f"in.{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"qp": "0"} if codec == "libx264rgb" else {})
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt = pix_fmt
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    assert np.abs(centres(read(path)) - PATCHES).max() <= 1
    write_video(tmp_path / "out.mp4", [read(path)] * 3, 25, crf=4, shown=VideoFile(path).colour.shown)
    result, tags, _ = shown(tmp_path / "out.mp4")
    assert tags == (1, 1, 1)
    assert np.abs(centres(result) - PATCHES).max() <= NEAR


@pytest.mark.parametrize("suffix", ["mov", "mkv", "mp4"])
def test_tags_of_the_container_count_too(tmp_path: Path, suffix: str) -> None:
    # a stream of MPEG-4 has none
    path = encode_patches(
        tmp_path / f"in.{suffix}", "mpeg4", "yuv420p", 1, tags=(1, 1, 1), options={"qmin": "1", "qmax": "1"}
    )
    assert np.abs(centres(read(path)) - PATCHES).max() <= 4


@pytest.mark.parametrize("name", ["vui", "colr"])
def test_stream_and_container_are_tagged(tmp_path: Path, name: str) -> None:
    write_video(tmp_path / "out.mp4", [np.zeros((64, 64, 3), np.uint8)] * 3, 25)
    content = (tmp_path / "out.mp4").read_bytes()
    if name == "colr":
        # primaries, transfer, matrix, limited range
        assert b"colrnclx\x00\x01\x00\x01\x00\x06\x00" in content
    else:
        (tmp_path / "no_colr.mp4").write_bytes(content.replace(b"colrnclx", b"freenclx"))
        assert shown(tmp_path / "no_colr.mp4")[1:] == ((6, 1, 1), 1)


@pytest.mark.parametrize("matrix", [8, 10, 14])
def test_a_matrix_that_is_not_read_is_named(tmp_path: Path, matrix: int) -> None:
    encode_patches(tmp_path / "in.mkv", tags=(matrix, 2, 2))
    with pytest.raises(ClipError, match=f"unreadable_video: .*matrix {matrix} of H.273"):
        VideoFile(tmp_path / "in.mkv")


def encoded(light: np.ndarray, transfer: int) -> np.ndarray:
    """Numbers 0 to 255 of light, where 1 is white of 203 nits, by the equations of BT.2100 and BT.1886."""
    if transfer == 16:
        part = (light * 203 / 10_000) ** 0.1593017578125
        return 255 * ((0.8359375 + 18.8515625 * part) / (1 + 18.6875 * part)) ** 78.84375
    if transfer == 18:
        weights = np.array([0.2627, 0.6780, 0.0593])
        display = light * 203 / 1000
        scene = display * np.maximum(display @ weights, 1e-9)[..., None] ** (1 / 1.2 - 1)
        bright = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
        return 255 * np.where(scene <= 1 / 12, np.sqrt(3 * scene), bright)
    return 255 * light ** (1 / 2.4)


@pytest.mark.parametrize("transfer", [1, 14, 16, 18])
@pytest.mark.parametrize("primaries", [9, 12])
def test_wide_colours_and_high_range_come_out_as_on_an_ordinary_screen(
    tmp_path: Path, transfer: int, primaries: int
) -> None:
    from_709 = np.linalg.inv(
        [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
        if primaries == 9
        else [[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]]
    )
    wanted = np.array([(0, 0, 0), (60, 60, 60), (128, 128, 128), (200, 150, 120)] * 2)
    stored = encoded((wanted / 255) ** 2.4 @ from_709.T, transfer)
    path = encode_patches(tmp_path / "in.mkv", "ffv1", "yuv444p10le", 9, tags=(9, primaries, transfer), patches=stored)
    assert np.abs(centres(read(path)) - wanted).max() <= 3
    assert VideoFile(path).colour.shown == (1, 1)


@pytest.mark.parametrize("transfer", [16, 18])
def test_highlights_are_compressed_and_keep_their_hue(tmp_path: Path, transfer: int) -> None:
    light = np.array([(1, 1, 1), (2, 2, 2), (4, 4, 4), (4.5, 2.25, 2.25)] * 2)
    path = encode_patches(
        tmp_path / "in.mkv", "ffv1", "yuv444p10le", 9, tags=(9, 2, transfer), patches=encoded(light, transfer)
    )
    white, brighter, brightest, pink = centres(read(path))[:4]
    assert 225 < white[0] < brighter[0] < brightest[0] <= 255
    assert np.ptp([white, brighter, brightest], axis=1).max() <= 1
    assert pink[0] > 240 and pink[1] == pytest.approx(pink[2], abs=12) and pink[1] < 0.85 * pink[0]
