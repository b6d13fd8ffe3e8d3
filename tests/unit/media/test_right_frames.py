"""The frame asked for is the frame given, whatever the container, the codec and the way to it."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest

from cmet.media.sound import clock_start_s
from cmet.media.video import VideoFile
from tests.unit.media.making import encode_numbered, number_in, numbered, remux

NUM = 50
ACCESS: dict[str, list[Sequence[int]]] = {
    "jumps": [[45], [2], [30, NUM - 1], [0], [26], [25], [24], [1, 48], [48]],
    "every other": [range(0, NUM, 2)],
    "every fifth": [range(0, NUM, 5)],
    "60 to 25 per second": [[int((number + 0.5) * 60 / 25) for number in range(20)]],
    "repeats": [[0, 0, 3, 3, 9, 30, 30, 31, NUM - 1]],
    "chunks": [range(start, start + 10) for start in range(0, NUM, 10)],
    "chunks backwards": [range(start, start + 8) for start in range(40, -1, -8)],
}

OPEN = "x264-params=keyint=10:open-gop=1:bframes=3:b-adapt=0:scenecut=0"
OPEN_HEVC = "x265-params=keyint=10:min-keyint=5:open-gop=1:bframes=3:b-adapt=0:log-level=none"
CLOSED_HEVC = OPEN_HEVC.replace("open-gop=1", "open-gop=0")
REFRESH = "x264-params=keyint=10:intra-refresh=1"


def check_frames(path: Path) -> VideoFile:
    """Go through a numbered video in all ways, one after the other, and return it."""
    whole, file = VideoFile(path), VideoFile(path)
    assert len(file) == NUM
    np.testing.assert_allclose(file.start_times_s(), np.arange(NUM) / 25, atol=0.041)
    frames = list(whole.frames_at(range(NUM)))
    assert [number_in(frame) for frame in frames] == list(range(NUM))
    for name, calls in ACCESS.items():
        for indices in calls:
            for index, frame in zip(indices, file.frames_at(indices), strict=True):
                assert np.array_equal(frame, frames[index]), f"{name}: {number_in(frame)} instead of {index}"
    return file


@pytest.mark.parametrize(
    ("name", "codec", "options", "reader"),
    [
        ("plain.mp4", "libx264", "", "decord"),
        ("short_groups.mp4", "libx264", "x264-params=keyint=4:min-keyint=1:bframes=3:b-adapt=0:scenecut=0", "decord"),
        ("keys_only.mov", "libx264", "g=1", "decord"),
        ("open.mp4", "libx264", OPEN, "pyav"),
        ("refresh.mp4", "libx264", REFRESH, "pyav"),
        ("closed_hevc.mp4", "libx265", CLOSED_HEVC, "decord"),
        ("open_hevc.mov", "libx265", OPEN_HEVC, "pyav"),
        ("open_mpeg4.mp4", "mpeg4", "bf=2 g=12 b=900k", "pyav"),
        ("plain.ts", "libx264", "g=10", "pyav"),
        ("open.mkv", "libx264", OPEN, "pyav"),
        ("short_groups.flv", "libx264", "x264-params=keyint=3:min-keyint=1:bframes=2:b-adapt=0:scenecut=0", "pyav"),
        ("b_frames.avi", "libx264", "g=10", "pyav"),
        ("windows.asf", "wmv2", "g=12 b=900k", "pyav"),
        ("dvd.mpg", "mpeg2video", "bf=2 g=12 b=900k", "pyav"),
    ],
)
def test_the_frame_asked_for_is_given(tmp_path: Path, name: str, codec: str, options: str, reader: str) -> None:
    assert check_frames(encode_numbered(tmp_path / name, codec, options, NUM)).reader == reader


def test_content_counts_and_not_the_name(tmp_path: Path) -> None:
    stream = encode_numbered(tmp_path / "download.ts", "libx264", "g=10", NUM)
    check_frames(Path(shutil.copy(stream, tmp_path / "download.mp4")))


def test_a_recording_that_begins_within_a_group_is_read_from_where_it_can_be_shown(tmp_path: Path) -> None:
    stream = encode_numbered(tmp_path / "open.ts", "libx264", OPEN, NUM).read_bytes()
    path = tmp_path / "tuned_in.ts"
    path.write_bytes(stream[len(stream) // 188 // 2 * 188 :])
    file = VideoFile(path)
    numbers = [number_in(frame) for frame in file.frames_at(range(len(file)))]
    assert numbers == list(range(numbers[0], NUM))
    assert 10 < len(numbers) < 30
    assert [number_in(frame) for frame in file.frames_at([0, 3, 4, 9])] == [numbers[index] for index in (0, 3, 4, 9)]
    # so that sound is not moved by what cannot be shown
    with av.open(str(path)) as part, av.open(str(tmp_path / "open.ts")) as whole:
        assert clock_start_s(part, path) == pytest.approx(clock_start_s(whole, tmp_path / "open.ts") + numbers[0] / 25)


def test_of_two_videos_in_a_file_the_first_is_read(tmp_path: Path) -> None:
    path = tmp_path / "two.mp4"
    with av.open(str(path), "w") as container:
        tracks = [container.add_stream("libx264", rate=25) for _ in range(2)]
        for track in tracks:
            track.height, track.width = numbered(0).shape[:2]
            track.pix_fmt = "yuv420p"
        for number in range(10):
            for first, track in zip((0, 50), tracks, strict=True):
                picture = av.VideoFrame.from_ndarray(numbered(first + number), format="rgb24")
                container.mux(track.encode(picture))
        for track in tracks:
            container.mux(track.encode(None))
    assert [number_in(frame) for frame in VideoFile(path).frames_at([0, 9])] == [0, 9]


@pytest.mark.parametrize("later_s", [0, 1000])
def test_seconds_that_begin_anew_go_on(tmp_path: Path, later_s: int) -> None:
    segment = encode_numbered(tmp_path / "segment.ts", "libx264", "g=10", 25)
    other = remux(segment, tmp_path / "other.ts", from_s=-later_s)
    (tmp_path / "joined.ts").write_bytes(segment.read_bytes() + other.read_bytes())
    file = VideoFile(tmp_path / "joined.ts")
    assert [number_in(frame) for frame in file.frames_at(range(NUM))] == [*range(25), *range(25)]
    np.testing.assert_allclose(file.start_times_s(), np.arange(NUM) / 25, atol=1e-3)


def test_what_cannot_be_shown_at_the_start_of_an_mp4_does_not_move_its_sound(tmp_path: Path) -> None:
    whole = encode_numbered(tmp_path / "whole.mp4", "libx264", "g=10 bf=0", 25)
    path = tmp_path / "cut.mp4"
    with av.open(str(whole)) as old, av.open(str(path), "w") as new:
        track = new.add_stream_from_template(old.streams.video[0])
        for packet in list(old.demux())[4:-1]:
            packet.stream = track
            new.mux(packet)
    with av.open(str(path)) as part:
        assert clock_start_s(part, path) == pytest.approx(10 / 25)


@pytest.mark.parametrize("options", ["bf=0", "bf=3"])
def test_the_picture_of_an_avi_begins_with_its_clock(tmp_path: Path, options: str) -> None:
    path = encode_numbered(tmp_path / "delayed.avi", "libx264", options, 10)
    with av.open(str(path)) as container:
        assert clock_start_s(container, path) == 0
