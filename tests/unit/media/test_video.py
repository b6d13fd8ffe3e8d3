import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from cmet.errors import ClipError
from cmet.media.sound import read_sound
from cmet.media.video import VideoFile, read_video, write_video
from tests.unit.media.making import remux


def text(path: Path, good: bytes) -> None:
    path.write_text("this is no video")


def cut_to_a_tenth(path: Path, good: bytes) -> None:
    path.write_bytes(good[: len(good) // 10])


def empty(path: Path, good: bytes) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [text, cut_to_a_tenth, empty])
def test_a_broken_video_is_one_clip_error(
    tmp_path: Path, moving_square: Path, damage: Callable[[Path, bytes], None]
) -> None:
    bad = tmp_path / "bad.mp4"
    damage(bad, moving_square.read_bytes())
    with pytest.raises(ClipError, match=r"unreadable_video: bad\.mp4"):
        read_video(bad)


def test_a_missing_video_is_a_clip_error(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match="missing_video"):
        VideoFile(tmp_path / "nothing.mp4")


@pytest.mark.parametrize("name", ["missing.mp4", "text.mp4"])
def test_a_reason_names_the_file_without_its_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(ClipError) as error:
        VideoFile(tmp_path / name)
    assert name in str(error.value)
    assert str(tmp_path) not in str(error.value)


def test_a_picture_in_an_unknown_format_is_said_to_be(tmp_path: Path, moving_square: Path) -> None:
    path = remux(moving_square, tmp_path / "a.mkv")
    path.write_bytes(path.read_bytes().replace(b"V_MPEG4/ISO/AVC", b"V_MPEG9/ISO/AVC"))
    with pytest.raises(ClipError, match=r"unreadable_video: the picture of a\.mkv is in an unknown format"):
        VideoFile(path)


def test_a_sound_file_holds_no_picture(tone: Path) -> None:
    with pytest.raises(ClipError, match="unreadable_video"):
        VideoFile(tone)


def test_frames_rate_and_span_survive_writing_and_reading(moving_square: Path) -> None:
    file = VideoFile(moving_square)
    assert (len(file), file.fps, file.width, file.height) == (30, 30, 64, 48)
    assert file.duration_s() == pytest.approx(1.0)
    frames = list(file.frames_at([0, 10, 10, 29]))
    for frame, left in zip(frames, [0, 10, 10, 29], strict=True):
        assert frame[24, left + 8].min() > 190
        assert frame[24, (left + 40) % 64].max() < 40


def test_the_same_frames_give_the_same_bytes(tmp_path: Path, tone: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (10, 64, 64, 3), np.uint8)
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, frames, 25, tone)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_memory_that_nobody_has_written_is_not_in_the_bytes(tmp_path: Path) -> None:
    """At widths that are no multiple of 64, x264's code for AVX-512 reads some."""
    program = (
        "import sys; import numpy as np; from pathlib import Path; from cmet.media.video import write_video\n"
        "blocks = np.random.default_rng(0).integers(0, 255, (30, 50, 3), np.uint8)\n"
        "wall = blocks.repeat(8, axis=0).repeat(8, axis=1)\n"
        "frames = [wall[2 * t : 2 * t + 180, t : t + 300] for t in range(30)]\n"
        "write_video(Path(sys.argv[1]), frames, 25)"
    )
    written = []
    for filling in ("1", "77"):
        path = tmp_path / f"{filling}.mp4"
        environment = os.environ | {"MALLOC_PERTURB_": filling}
        subprocess.run([sys.executable, "-c", program, str(path)], env=environment, check=True)
        written.append(path.read_bytes())
    assert written[0] == written[1]


def test_an_odd_size_is_padded_by_its_own_edge(tmp_path: Path) -> None:
    write_video(tmp_path / "odd.mp4", np.full((3, 51, 33, 3), 128, np.uint8), 25)
    frames = read_video(tmp_path / "odd.mp4").frames
    assert frames.shape == (3, 52, 34, 3)
    assert np.abs(frames.astype(int) - 128).max() < 4


def test_the_sound_of_a_video_is_copied_packet_by_packet(tmp_path: Path, moving_square: Path) -> None:
    write_video(tmp_path / "copy.mp4", read_video(moving_square).frames, 30, moving_square)
    copied, original = (_sound_packets(path) for path in (tmp_path / "copy.mp4", moving_square))
    assert copied == original
    assert len(original) > 10


def test_a_video_without_sound_stays_without_sound(tmp_path: Path) -> None:
    silent = tmp_path / "silent.mp4"
    write_video(silent, np.zeros((3, 32, 32, 3), np.uint8), 25)
    write_video(tmp_path / "copy.mp4", np.zeros((3, 32, 32, 3), np.uint8), 25, silent)
    with pytest.raises(ClipError, match="no_sound"):
        read_sound(tmp_path / "copy.mp4", 16_000)


@pytest.mark.parametrize(
    ("suffix", "codec", "is_copied"), [("mp4", "aac", True), ("mkv", "aac", True), ("mov", "pcm_s16le", False)]
)
@pytest.mark.parametrize(("picture_s", "sound_s"), [(0.0, 0.0), (0.4, 0.0), (0.0, 0.4), (0.4, 0.4), (0.4, 0.8)])
def test_sound_keeps_its_place_in_the_picture(
    tmp_path: Path, suffix: str, codec: str, is_copied: bool, picture_s: float, sound_s: float
) -> None:
    source, copy = tmp_path / f"source.{suffix}", tmp_path / "copy.mp4"
    _write_click(source, codec, picture_s, sound_s, click_s=0.9)
    write_video(copy, np.zeros((25, 64, 64, 3), np.uint8), 25, source)
    assert _click_s(source) == pytest.approx(0.9 - picture_s, abs=0.003)
    assert _click_s(copy) == pytest.approx(0.9 - picture_s, abs=0.003)
    assert (_sound_packets(copy)[-1] == _sound_packets(source)[-1]) is is_copied


def test_sound_that_is_over_when_the_picture_begins_leaves_a_silent_video(tmp_path: Path) -> None:
    source, copy = tmp_path / "source.mkv", tmp_path / "copy.mp4"
    _write_click(source, "aac", picture_s=2.0, sound_s=0.0, click_s=0.5)
    assert write_video(copy, np.zeros((25, 64, 64, 3), np.uint8), 25, source) == 25
    assert len(read_video(copy).frames) == 25


def _write_click(path: Path, codec: str, picture_s: float, sound_s: float, click_s: float) -> None:
    """One second of picture and of sound, each from its own time; a click at a time of their common clock."""
    rate = 48_000
    sound = np.zeros((1, rate), np.int16)
    start = round((click_s - sound_s) * rate)
    sound[0, start : start + 960] = 16_000
    with av.open(str(path), "w") as file:
        picture = file.add_stream("libx264", rate=25, options={"bf": "0"})
        picture.width = picture.height = 64
        track = file.add_stream(codec, rate=rate, layout="mono")
        for number in range(25):
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            frame.pts = round(picture_s * 25) + number
            file.mux(picture.encode(frame))
        file.mux(picture.encode(None))
        for position in range(0, rate, 1024):
            block = av.AudioFrame.from_ndarray(sound[:, position : position + 1024], format="s16", layout="mono")
            block.sample_rate, block.pts = rate, round(sound_s * rate) + position
            file.mux(track.encode(block))
        file.mux(track.encode(None))


def _click_s(path: Path) -> float:
    return float(np.argmax(np.abs(read_sound(path, 16_000)) > 0.2)) / 16_000


def _sound_packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def test_frames_outlive_what_they_came_from(moving_square: Path) -> None:
    file = VideoFile(moving_square)
    assert file.reader == "decord"
    frames = list(file.frames_at(range(20)))
    copies = [frame.copy() for frame in frames]
    del file
    VideoFile(moving_square)
    assert all((frame == copy).all() for frame, copy in zip(frames, copies, strict=True))
    assert frames[0].flags.writeable
