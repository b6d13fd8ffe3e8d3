"""Videos as they really arrive."""

from pathlib import Path

import decord
import numpy as np
import pytest
from PIL import Image

from cmet.errors import ClipError
from cmet.media.container import Container
from cmet.media.readers import DecordReader, PyavReader
from cmet.media.video import VideoFile
from tests.unit.media.making import cut, encode, encode_numbered, numbered, remux

TIMES_MS = range(0, 1200, 40)


@pytest.fixture
def squares() -> np.ndarray:
    """30 frames, 64x48: a bright square that moves right, a red corner at the lower left."""
    frames = np.zeros((30, 48, 64, 3), np.uint8)
    for number, frame in enumerate(frames):
        frame[8:24, number : number + 16] = 220
        frame[32:, :16] = (200, 0, 0)
    return frames


@pytest.fixture
def plain(tmp_path: Path, squares: np.ndarray) -> Path:
    return encode(tmp_path / "plain.mp4", squares, TIMES_MS)


@pytest.mark.parametrize(("rotation", "turns"), [(90, 1), (180, 2), (270, 3)])
def test_a_rotation_flag_is_applied(tmp_path: Path, squares: np.ndarray, rotation: int, turns: int) -> None:
    file = VideoFile(encode(tmp_path / "turned.mp4", squares, TIMES_MS, rotation))
    expected = np.rot90(squares[[0, 7, 29]], turns, axes=(1, 2))
    frames = np.stack(list(file.frames_at([0, 7, 29])))
    assert file.reader == "pyav"
    assert (file.height, file.width) == expected.shape[1:3]
    assert np.abs(frames.astype(int) - expected).mean() < 6


def test_what_an_edit_list_hides_is_not_shown(tmp_path: Path, plain: Path, squares: np.ndarray) -> None:
    edited = remux(plain, tmp_path / "edited.mp4", from_s=0.4)
    assert len(DecordReader(edited, Container.read(edited)).times_s) == 30
    file = VideoFile(edited)
    assert (file.reader, len(file), file.fps) == ("pyav", 20, 25)
    np.testing.assert_allclose(file.start_times_s(), np.arange(20) / 25, atol=1e-3)
    frames = np.stack(list(file.frames_at(range(20))))
    assert np.abs(frames.astype(int) - squares[10:]).mean() < 6


@pytest.mark.parametrize("container", ["flv", "mkv", "mp4"])
def test_a_variable_rate_has_the_times_it_was_written_with(tmp_path: Path, squares: np.ndarray, container: str) -> None:
    # half a second at 10 frames/s, then half a second at 50; P8 is the flv
    times_ms = [*range(0, 500, 100), *range(500, 1000, 20)]
    file = VideoFile(encode(tmp_path / f"uneven.{container}", squares, times_ms))
    np.testing.assert_allclose(file.start_times_s() * 1000, times_ms, atol=1)
    assert file.duration_s() == pytest.approx(1.0, abs=0.03)
    assert file.fps == pytest.approx(30, rel=0.05)


@pytest.mark.parametrize("container", ["flv", "mkv"])
def test_a_file_that_reads_silently_short_is_truncated(tmp_path: Path, talking: Path, container: str) -> None:
    whole = remux(talking, tmp_path / f"whole.{container}")
    assert len(VideoFile(whole)) == len(VideoFile(talking))
    half = cut(whole, tmp_path / f"half.{container}", 0.5)
    with pytest.raises(ClipError, match=rf"truncated: half\.{container} declares \d\.\d\d s but holds \d\.\d\d s"):
        VideoFile(half)


def test_an_mp4_cut_behind_its_index_is_truncated(tmp_path: Path, moving_square: Path) -> None:
    with pytest.raises(ClipError, match=r"truncated: half\.mp4 declares 30 frames but holds \d+$"):
        VideoFile(cut(moving_square, tmp_path / "half.mp4", 0.5))


def test_an_mp4_cut_before_its_index_is_unreadable(tmp_path: Path, plain: Path) -> None:
    with pytest.raises(ClipError, match=r"unreadable_video: half\.mp4 cannot be decoded"):
        VideoFile(cut(plain, tmp_path / "half.mp4", 0.5))


@pytest.mark.parametrize("container", ["flv", "mkv", "mp4", "mov", "ts"])
def test_a_whole_file_is_read_whole_from_any_container(tmp_path: Path, talking: Path, container: str) -> None:
    file = VideoFile(remux(talking, tmp_path / f"whole.{container}"))
    assert len(file) == len(VideoFile(talking))
    assert file.fps == pytest.approx(30, rel=1e-3)


def test_both_readers_give_the_same_frames(talking: Path) -> None:
    container = Container.read(talking)
    one, other = DecordReader(talking, container), PyavReader(talking, container)
    np.testing.assert_array_equal(one.times_s, other.times_s)
    np.testing.assert_allclose(one.times_s, np.arange(len(one.times_s)) / 30, rtol=1e-12)
    for a, b in zip(one.frames_at([0, 3, 3, 20]), other.frames_at([0, 3, 3, 20]), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_frame_that_cannot_be_decoded_is_an_error(tmp_path: Path, talking: Path) -> None:
    content = bytearray(talking.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4000] = bytes(4000)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(content)
    file = VideoFile(broken)
    with pytest.raises(ClipError, match=r"unreadable_video: broken\.mp4"):
        list(file.frames_at(range(len(file))))


def test_damage_is_told_without_the_words_of_a_decoder(tmp_path: Path) -> None:
    path = encode_numbered(tmp_path / "damaged.mp4", "libx264", "g=25 bf=0")
    content = bytearray(path.read_bytes())
    start = content.index(b"mdat")
    for place in range(start + 1500, len(content) // 2, 20):
        content[place] ^= 0xFF
    path.write_bytes(content)
    file = VideoFile(path)
    assert file.reader == "decord"
    with pytest.raises(ClipError, match=r"^unreadable_video: damaged\.mp4 cannot be decoded \(its data are damaged\)$"):
        list(file.frames_at(range(len(file))))


@pytest.mark.parametrize(
    ("said", "detail"),
    [
        (
            "[01:30:18] /src/threaded_decoder.cc:292: [01:30:18] /src/threaded_decoder.cc:218: "
            "Check failed: avcodec_send_packet(context, packet) >= 0 (-1 vs. 0) "
            "Thread worker: Error sending packet.\n\nStack trace returned 2 entries:",
            "its data are damaged",
        ),
        ("[01:24:35] /src/threaded_decoder.cc:104: Check failed: run_.load() ", "its data are damaged"),
        ("[23:59:59] /src/video_reader.cc:270: [{path}]Unable to handle EOF", "[{path.name}]Unable to handle EOF"),
    ],
    ids=["the packet", "the thread that has ended", "no damage"],
)
def test_the_hour_and_the_place_in_its_source_stay_with_the_decoder(
    talking: Path, monkeypatch: pytest.MonkeyPatch, said: str, detail: str
) -> None:
    reader = DecordReader(talking, Container.read(talking))

    class Failing:
        def get_batch(self, indices: list[int]) -> None:
            raise decord.DECORDError(said.format(path=talking))

    monkeypatch.setattr(reader, "_reader", Failing())
    with pytest.raises(ClipError) as refused:
        list(reader.frames_at([0]))
    assert str(refused.value) == f"unreadable_video: {talking.name} cannot be decoded ({detail.format(path=talking)})"


def test_animated_webp_is_called_what_it_is(tmp_path: Path) -> None:
    pictures = [Image.fromarray(numbered(number)) for number in range(3)]
    pictures[0].save(tmp_path / "moving.webp", save_all=True, append_images=pictures[1:])
    with pytest.raises(ClipError, match="animated WebP"):
        VideoFile(tmp_path / "moving.webp")
