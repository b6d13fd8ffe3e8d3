"""The quick test of the same name over many more containers, codecs and groups of pictures."""

from itertools import product
from pathlib import Path

import pytest

from tests.unit.media.making import encode_numbered
from tests.unit.media.test_right_frames import CLOSED_HEVC, OPEN, OPEN_HEVC, REFRESH, check_frames

SHORT = "x264-params=keyint=3:min-keyint=1:bframes=2:b-adapt=0:scenecut=0"
H264 = ["g=10", OPEN, REFRESH, SHORT, "g=1", "g=10 bf=0", "g=10 flags=+ildct+ilme"]
HEVC = [OPEN_HEVC, CLOSED_HEVC, CLOSED_HEVC + ":radl=2", "x265-params=keyint=10:intra-refresh=1:log-level=none"]
MPEG = ["bf=2 g=12 b=900k", "bf=0 g=5 b=900k"]
LATE = "auto-alt-ref=1 lag-in-frames=16 g=20 b=400k"

VIDEOS = [
    *product(["mp4", "mov", "mkv", "ts", "flv", "avi", "asf"], ["libx264"], H264),
    *product(["mp4", "mkv", "ts"], ["libx265"], HEVC),
    *product(["mp4", "avi", "mkv", "ts", "asf"], ["mpeg4"], MPEG),
    *product(["mpg", "vob", "ts", "mkv", "asf", "mxf"], ["mpeg2video"], MPEG),
    *product(["webm", "mkv"], ["libvpx", "libvpx-vp9"], [LATE]),
    *product(["webm", "mp4"], ["libsvtav1"], ["g=15 preset=12 crf=20 svtav1-params=irefresh-type=1"]),
    *product(["avi", "mov"], ["mjpeg"], ["q=2"]),
    *product(["flv", "swf"], ["flv"], ["g=12 b=900k"]),
    *product(["wmv", "avi"], ["wmv1", "wmv2"], ["g=12 b=900k"]),
    ("mp4", "libvpx-vp9", LATE),
    ("3gp", "libx264", "g=10"),
    ("m2ts", "libx264", OPEN),
    ("h264", "libx264", OPEN),
    ("hevc", "libx265", OPEN_HEVC),
    ("m1v", "mpeg1video", MPEG[0]),
    ("nut", "libx264", OPEN),
    ("mkv", "ffv1", ""),
    ("mov", "prores_ks", ""),
    ("mov", "qtrle", ""),
]
PIXELS = {"mjpeg": "yuvj420p", "prores_ks": "yuv422p10le", "qtrle": "rgb24"}


@pytest.fixture(autouse=True)
def seek_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cmet.media.readers.MIN_SKIPPED", 2)


@pytest.mark.parametrize(("suffix", "codec", "options"), VIDEOS)
def test_the_frame_asked_for_is_given(tmp_path: Path, suffix: str, codec: str, options: str) -> None:
    path = tmp_path / f"numbered.{suffix}"
    check_frames(encode_numbered(path, codec, options, pix_fmt=PIXELS.get(codec, "yuv420p")))


@pytest.mark.parametrize(
    ("suffix", "container_options"),
    [
        ("mp4", "movflags=frag_keyframe+empty_moov"),
        ("mp4", "movflags=dash+frag_every_frame+empty_moov+delay_moov"),
        ("mp4", "movflags=negative_cts_offsets"),
        ("mp4", "use_editlist=0"),
        ("mkv", "live=1"),
        ("flv", "flvflags=add_keyframe_index"),
    ],
)
@pytest.mark.parametrize("options", ["g=10", OPEN])
def test_so_it_is_in_other_forms_of_a_container(
    tmp_path: Path, suffix: str, container_options: str, options: str
) -> None:
    path = tmp_path / f"numbered.{suffix}"
    check_frames(encode_numbered(path, "libx264", options, container_options=container_options))


@pytest.mark.parametrize("pix_fmt", ["yuvj420p", "yuv422p", "yuv444p", "yuv420p10le", "gray"])
def test_so_it_is_in_other_pixels(tmp_path: Path, pix_fmt: str) -> None:
    check_frames(encode_numbered(tmp_path / "numbered.mp4", "libx264", "g=10", pix_fmt=pix_fmt))
