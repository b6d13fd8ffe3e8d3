import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from cmet.media.files import open_media
from cmet.media.sound import read_sound, sound_fault
from cmet.media.soundtrack import aac_rate, in_step
from cmet.media.video import VideoFile, write_video

BLACK = [np.zeros((48, 64, 3), np.uint8)] * 25


def beep(rate_hz: int, duration_s: float = 2.0, at_s: float = 1.0) -> np.ndarray:
    """Silence with a tone of 0.1 s, shape (N,), float32."""
    time_s = np.arange(round(rate_hz * duration_s)) / rate_hz
    return np.where((time_s >= at_s) & (time_s < at_s + 0.1), 0.5 * np.sin(800 * np.pi * time_s), 0).astype(np.float32)


def encode_sound(path: Path, codec: str, rate_hz: int, layout: str = "mono", start_s: float = 0.0) -> Path:
    """Write `beep` into a file whose clock begins at `start_s`."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=rate_hz, layout=layout)
        samples = np.repeat(beep(rate_hz)[None], 2 if layout == "stereo" else 1, 0)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
        frame.sample_rate, frame.pts = rate_hz, round(start_s * rate_hz)
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            file.mux(packet)
    return path


def written(tmp_path: Path, sound: Path) -> av.AudioStream:
    """The one sound track of a video written with this sound, whose picture is whole."""
    out = tmp_path / "out.mp4"
    assert write_video(out, BLACK, 25, sound) == 25
    assert len(VideoFile(out)) == 25
    with open_media(out) as file:
        (stream,) = file.streams.audio
        return stream


def beeps_s(path: Path) -> list[float]:
    """When the beeps of a file are heard."""
    loud = np.flatnonzero(np.abs(read_sound(path, 16_000)) > 0.2) / 16_000
    return loud[np.diff(loud, prepend=-1) > 0.2].tolist()


@pytest.mark.parametrize("rate_hz", [6_000, 37_800, 192_000])
def test_a_rate_that_aac_does_not_have_is_resampled(tmp_path: Path, rate_hz: int) -> None:
    soundfile.write(tmp_path / "a.wav", beep(rate_hz), rate_hz)
    stream = written(tmp_path, tmp_path / "a.wav")
    assert (stream.codec_context.name, stream.rate) == ("aac", aac_rate(rate_hz))
    assert beeps_s(tmp_path / "out.mp4") == pytest.approx([1.0], abs=0.01)


@pytest.mark.parametrize(
    ("rate_hz", "expected_hz"),
    [(4_000, 8_000), (7_350, 8_000), (16_000, 16_000), (37_800, 44_100), (50_000, 64_000), (384_000, 96_000)],
)
def test_the_rate_is_the_next_one_above(rate_hz: int, expected_hz: int) -> None:
    assert aac_rate(rate_hz) == expected_hz


@pytest.mark.parametrize("num_channels", [3, 6, 10])
def test_many_channels_become_two(tmp_path: Path, num_channels: int) -> None:
    soundfile.write(tmp_path / "a.wav", np.repeat(beep(16_000)[:, None], num_channels, axis=1), 16_000)
    assert written(tmp_path, tmp_path / "a.wav").layout.name == "stereo"
    assert beeps_s(tmp_path / "out.mp4") == pytest.approx([1.0], abs=0.01)


@pytest.mark.parametrize(
    ("name", "codec", "rate_hz", "result"),
    [
        ("a.avi", "libmp3lame", 44_100, "mp3"),
        ("a.mp3", "libmp3lame", 44_100, "mp3"),
        ("a.wav", "libmp3lame", 44_100, "mp3"),
        ("a.mp3", "libmp3lame", 8_000, "aac"),  # mp4 has no mp3 of such a rate
        ("a.ts", "aac", 48_000, "aac"),
        ("a.mp2", "mp2", 48_000, "aac"),
        ("a.mka", "flac", 48_000, "aac"),
    ],
)
def test_sound_is_copied_where_mp4_can_hold_it(
    tmp_path: Path, name: str, codec: str, rate_hz: int, result: str
) -> None:
    source = encode_sound(tmp_path / name, codec, rate_hz)
    assert written(tmp_path, source).codec_context.codec.canonical_name == result
    is_copied = _packets(source)[5:9] == _packets(tmp_path / "out.mp4")[5:9]
    assert is_copied is (codec not in ("mp2", "flac") and rate_hz != 8_000 and name != "a.ts")
    # encoders add silence, which some containers do not tell
    assert beeps_s(tmp_path / "out.mp4") == pytest.approx([1.0], abs=0.15)


@pytest.mark.parametrize(
    ("start_s", "rate_hz", "layout"),
    [
        (0.0, 48_000, "mono"),
        (1.8, 48_000, "mono"),
        (1000.0, 48_000, "mono"),
        (0.0, 44_100, "mono"),
        (0.0, 48_000, "stereo"),
    ],
)
def test_sound_whose_clock_begins_anew_is_re_timed(tmp_path: Path, start_s: float, rate_hz: int, layout: str) -> None:
    one = encode_sound(tmp_path / "1.ts", "aac", 48_000)
    other = encode_sound(tmp_path / "2.ts", "aac", rate_hz, layout, start_s)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(one.read_bytes() + other.read_bytes())
    written(tmp_path, joined)
    assert beeps_s(tmp_path / "out.mp4") == pytest.approx([1.0, 3.0], abs=0.1)


@pytest.mark.parametrize(("name", "codec"), [("a.ts", "aac"), ("a.mka", "aac"), ("a.ts", "mp2"), ("a.mka", "flac")])
def test_sound_alone_begins_at_once_whatever_its_clock_says(tmp_path: Path, name: str, codec: str) -> None:
    source = encode_sound(tmp_path / name, codec, 48_000, start_s=3600.0)
    assert beeps_s(source) == pytest.approx([1.0], abs=0.05)
    written(tmp_path, source)
    assert beeps_s(tmp_path / "out.mp4") == pytest.approx([1.0], abs=0.05)


def test_pieces_that_overlap_a_little_keep_their_times() -> None:
    def pieces(*starts: int) -> Iterator[av.AudioFrame]:
        for start in starts:
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1000), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 16_000, start, Fraction(1, 16_000)
            yield frame

    assert [frame.pts for frame in in_step(pieces(0, 900, 2000, 3500), math.inf)] == [0, 900, 2000, 3500]
    assert [frame.pts for frame in in_step(pieces(0, 1000, 200, 1200, 3200), math.inf)] == [0, 1000, 2000, 3000, 5000]
    assert [frame.pts for frame in in_step(pieces(0, 40_000, 41_000), 1.0)] == [0, 1000, 2000]


def test_values_that_are_no_numbers_do_not_cost_the_picture(tmp_path: Path) -> None:
    samples = beep(16_000)
    samples[100:200], samples[300] = np.nan, np.inf
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    written(tmp_path, tmp_path / "a.wav")
    assert beeps_s(tmp_path / "out.mp4")[-1] == pytest.approx(1.0, abs=0.01)


def test_damage_in_the_middle_costs_no_more_than_itself(tmp_path: Path) -> None:
    content = bytearray(encode_sound(tmp_path / "a.mp2", "mp2", 48_000).read_bytes())
    for start in range(5000, 10_000, 1000):
        content[start : start + 40] = b"\xaa" * 40
    (tmp_path / "a.mp2").write_bytes(content)
    written(tmp_path, tmp_path / "a.mp2")
    assert beeps_s(tmp_path / "out.mp4") == pytest.approx([1.0], abs=0.15)


def test_sound_that_nothing_decodes_is_left_out_and_told(tmp_path: Path) -> None:
    path = encode_sound(tmp_path / "a.mka", "flac", 48_000)
    assert sound_fault(path) is None
    path.write_bytes(path.read_bytes().replace(b"A_FLAC", b"A_NEWS"))
    assert sound_fault(path) == "the sound of a.mka is in an unknown format"
    out = tmp_path / "out.mp4"
    assert write_video(out, BLACK, 25, path) == 25
    with open_media(out) as file:
        assert not file.streams.audio


def test_sound_that_only_libsndfile_reads_does_not_cost_the_picture(tmp_path: Path) -> None:
    sound = tmp_path / "toolkit.wav"
    soundfile.write(sound, beep(16_000), 16_000, format="HTK", subtype="PCM_16")
    assert len(read_sound(sound, 16_000)) == 32_000
    assert "toolkit.wav cannot be decoded" in (sound_fault(sound) or "")
    assert write_video(tmp_path / "edited.mp4", np.zeros((5, 64, 64, 3), np.uint8), 25.0, sound) == 5


def _packets(path: Path) -> list[bytes]:
    with open_media(path) as file:
        return [bytes(packet) for packet in file.demux(file.streams.audio[0]) if packet.size]
