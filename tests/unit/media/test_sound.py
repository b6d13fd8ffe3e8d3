from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from cmet.errors import ClipError
from cmet.media.sound import read_sound


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros((0, 1)), "empty_sound"),
        (np.full((800, 1), np.nan), "bad_sound"),
    ],
)
def test_unusable_sound_is_refused_with_a_reason(tmp_path: Path, samples: np.ndarray, reason: str) -> None:
    path = tmp_path / "bad.wav"
    soundfile.write(path, samples, 16_000, subtype="FLOAT")
    with pytest.raises(ClipError, match=reason):
        read_sound(path, 16_000)


def test_a_missing_sound_is_named_without_its_folder(tmp_path: Path) -> None:
    with pytest.raises(ClipError) as error:
        read_sound(tmp_path / "a.wav", 16_000)
    assert str(error.value) == "missing_audio: a.wav does not exist"


def test_text_is_no_sound(tmp_path: Path) -> None:
    path = tmp_path / "bad.wav"
    path.write_text("not a wav")
    with pytest.raises(ClipError, match="unreadable_audio"):
        read_sound(path, 16_000)


@pytest.mark.parametrize(("rate_hz", "num_channels"), [(48_000, 6), (44_100, 2), (24_000, 1), (16_000, 1)])
def test_any_rate_and_layout_becomes_16_khz_mono(tmp_path: Path, rate_hz: int, num_channels: int) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate_hz) / rate_hz)
    path = tmp_path / "tone.wav"
    soundfile.write(path, np.repeat(tone[:, None], num_channels, axis=1), rate_hz, subtype="PCM_16")
    samples = read_sound(path, 16_000)
    assert samples.dtype == np.float32
    assert abs(len(samples) - 16_000) <= 1
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    assert np.abs(samples[200:15_000] - expected[200:15_000]).max() < 5e-3


def test_a_wav_that_ends_early_is_truncated(tone: Path) -> None:
    tone.write_bytes(tone.read_bytes()[:16_044])
    with pytest.raises(ClipError, match=r"truncated: tone\.wav declares 32000 bytes of sound but holds 16000"):
        read_sound(tone, 16_000)


@pytest.mark.parametrize(
    ("riff_bytes", "data_bytes"),
    [(0, 0), (36, 0), (0xFFFFFFFF, 0xFFFFFFFF), (0x7FFFFFFF, 0x7FFFFFDB), (32_072, 32_036), (32_044, 32_044)],
)
def test_a_wav_with_a_wrong_length_is_read_to_its_end(tone: Path, riff_bytes: int, data_bytes: int) -> None:
    expected = read_sound(tone, 16_000)
    content = bytearray(tone.read_bytes())
    content[4:8], content[40:44] = (number.to_bytes(4, "little") for number in (riff_bytes, data_bytes))
    tone.write_bytes(content)
    np.testing.assert_array_equal(read_sound(tone, 16_000), expected)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_sound_of_another_format_than_its_name_says_is_read(tmp_path: Path, moving_square: Path, suffix: str) -> None:
    expected = read_sound(moving_square, 16_000)
    np.testing.assert_array_equal(read_sound(moving_square.rename(tmp_path / f"a{suffix}"), 16_000), expected)


@pytest.mark.parametrize("container", ["mkv", "mov"])
def test_sound_starts_with_the_picture(tmp_path: Path, container: str) -> None:
    # the picture begins 0.4 s after the sound; a click marks 0.6 s of the sound
    rate = 16_000
    samples = np.zeros((1, rate), np.float32)
    samples[0, int(0.6 * rate) : int(0.62 * rate)] = 0.5
    path = tmp_path / f"late.{container}"
    with av.open(str(path), "w") as file:
        picture = file.add_stream("libx264", rate=25, options={"bf": "0"})
        picture.width = picture.height = 64
        sound = file.add_stream("pcm_s16le", rate=rate, layout="mono")
        for number in range(10, 25):
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            frame.pts = number
            file.mux(picture.encode(frame))
        file.mux(picture.encode(None))
        block = av.AudioFrame.from_ndarray((samples * 32767).astype(np.int16), format="s16", layout="mono")
        block.sample_rate, block.pts = rate, 0
        file.mux(sound.encode(block))
        file.mux(sound.encode(None))
    click = int(np.argmax(np.abs(read_sound(path, rate)) > 0.2))
    assert click / rate == pytest.approx(0.2, abs=0.005)


def test_the_sound_of_a_video_lasts_as_long_as_the_sound(moving_square: Path) -> None:
    assert abs(len(read_sound(moving_square, 16_000)) - 16_000) < 1100


def test_real_meld_sound_is_read_whole_whatever_its_channels(real: Path) -> None:
    infos = [soundfile.info(path) for path in sorted((real / "MELD/sarcastic").glob("*.wav"))]
    assert {info.samplerate for info in infos} == {48_000}
    assert max(info.channels for info in infos) == 6
    for info in infos:
        assert abs(len(read_sound(Path(info.name), 16_000)) / 16_000 - info.duration) < 0.01
