"""Sync confidence: the whole procedure against a slow reading of it, the rest on means in place of SyncNet."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from fill import METRICS, fill, waveform
from python_speech_features import mfcc
from scipy.io import wavfile
from torch import Tensor, nn

from cmet.errors import ClipError, UserError
from cmet.media.sound import write_sound
from cmet.media.video import read_video, write_video
from cmet.scores.metrics.metric import Shown
from cmet.scores.metrics.sync import (
    MAX_OFFSET,
    SyncConfidence,
    cepstral_windows,
    confidence,
    distances,
    lip_picture,
)
from cmet.scores.metrics.syncnet import SyncNet

NUM_PICTURES = 24


class Means(nn.Module):
    """Stands for SyncNet: the features of a window are means of what is in it."""

    def voice(self, cepstra_N1CM: Tensor) -> Tensor:
        return cepstra_N1CM.mean((1, 3))[:, :3]

    def lips(self, pictures_3FPP: Tensor) -> Tensor:
        return pictures_3FPP.mean((2, 3)).unfold(1, 5, 1).mean(2).T


@pytest.fixture(scope="module")
def network() -> SyncNet:
    network = SyncNet()
    fill(network, METRICS)
    return network.eval().requires_grad_(False)


@pytest.fixture
def means() -> SyncConfidence:
    return SyncConfidence(Means(), torch.device("cpu"))  # type: ignore[arg-type]


def frames(num: int, size_px: int = 64) -> np.ndarray:
    """Pictures that differ from each other in every channel."""
    random = np.random.default_rng(3)
    small = random.integers(0, 255, (num, 4, 4, 3), np.uint8)
    return np.stack([cv2.resize(picture, (size_px, size_px)) for picture in small])


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "edited.mp4"
    write_video(path, frames(NUM_PICTURES), 25, crf=0)
    return path


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    return write_hum(tmp_path / "neutral.wav", NUM_PICTURES / 25)


def write_hum(path: Path, duration_s: float) -> Path:
    write_sound(path, waveform("voice", duration_s), 16_000)
    return path


def shown(video: Path, sound: Path | None) -> Shown:
    return Shown(video, None, None, sound)


# The procedure


def slow_confidence(network: SyncNet, pictures: Sequence[np.ndarray], sound: Path) -> float:
    """As the published script goes: windows one by one, sound as its 16 bit numbers, distances in two loops."""
    _, pcm = wavfile.read(sound)
    cepstra = mfcc(pcm, 16_000)
    num_windows = min(len(pictures), len(pcm) // 640) - 5
    lips, voice = [], []
    for start in range(num_windows):
        window = np.stack(pictures[start : start + 5], axis=3).transpose(2, 3, 0, 1)[None]
        lips.append(network.netfclip(network.netcnnlip(torch.from_numpy(window).float()).flatten(1))[0].double())
        columns = cepstra[4 * start : 4 * start + 20].T[None, None]
        voice.append(network.netfcaud(network.netcnnaud(torch.from_numpy(columns).float()).flatten(1))[0].double())
    means = []
    for offset in range(-15, 16):
        apart = []
        for number, seen in enumerate(lips):
            is_there = 0 <= number + offset < num_windows
            heard = voice[number + offset] if is_there else torch.zeros(1024, dtype=torch.float64)
            apart.append(float((seen - heard + 1e-6).square().sum().sqrt()))
        means.append(sum(apart) / len(apart))
    return sorted(means)[15] - min(means)


def slow_picture(frame: np.ndarray) -> np.ndarray:
    """The published cut around a box (left, top, right, bottom) that is the middle 1 / 1.2 of a square frame."""
    size = len(frame)
    box = (size / 12, size / 12, size * 11 / 12, size * 11 / 12)
    half, x, y = (box[3] - box[1]) / 2, (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    pad = int(half * 1.8)
    padded = np.pad(frame[:, :, ::-1], ((pad, pad), (pad, pad), (0, 0)), constant_values=110)
    x, y = x + pad, y + pad
    rows = slice(round(y - half), round(y + half * 1.8))
    columns = slice(round(x - half * 1.4), round(x + half * 1.4))
    return cv2.resize(padded[rows, columns], (224, 224))


@torch.inference_mode()
def test_the_confidence_is_that_of_a_slow_reading_of_the_procedure(
    tmp_path: Path, network: SyncNet, video: Path, sound: Path
) -> None:
    write_video(video, frames(NUM_PICTURES, 192), 25)
    pictures = [slow_picture(frame) for frame in read_video(video).frames]
    (found,) = SyncConfidence(network, torch.device("cpu")).measure([shown(video, sound)], "sync").per_clip
    assert not isinstance(found, ClipError)
    assert found["sync_conf"] == pytest.approx(slow_confidence(network, pictures, sound), abs=1e-5)
    assert found["sync_conf"] > 0.01


@pytest.mark.parametrize("offset", [-15, -4, 0, 7, 15])
def test_sound_that_comes_later_has_its_minimum_later(offset: int) -> None:
    lips_ND = torch.randn(60, 16)
    voice_ND = torch.randn(60, 16)
    for number in range(60):
        if 0 <= number + offset < 60:
            voice_ND[number + offset] = lips_ND[number]
    distance_O = distances(lips_ND, voice_ND)
    assert int(distance_O.argmin()) == MAX_OFFSET + offset
    assert confidence(lips_ND, voice_ND) == pytest.approx(float(distance_O.median() - distance_O.min()))


def test_lips_beyond_the_sound_are_compared_with_zeros() -> None:
    lips_ND = torch.full((2, 4), 3.0)
    voice_ND = torch.full((2, 4), 3.0)
    expected = [6.0] * 14 + [3.0, 0.0, 3.0] + [6.0] * 14
    torch.testing.assert_close(distances(lips_ND, voice_ND), torch.tensor(expected).double(), atol=1e-5, rtol=0)
    assert confidence(lips_ND, voice_ND) == pytest.approx(6, abs=1e-5)


@pytest.mark.parametrize("num_pictures", [21, 25, 60])
def test_a_sound_has_five_windows_less_than_pictures_and_they_begin_every_four_columns(num_pictures: int) -> None:
    samples = waveform("voice", num_pictures / 25)
    windows = cepstral_windows(samples)
    cepstra = mfcc(np.rint(samples.astype(np.float64) * 32768), 16_000)
    assert windows.shape == (num_pictures - 5, 1, 13, 20)
    for number in (0, 3, num_pictures - 6):
        np.testing.assert_allclose(windows[number, 0], cepstra[4 * number : 4 * number + 20].T, rtol=1e-6)


def test_lip_pictures_are_blue_first_begin_below_the_upper_edge_and_are_grey_outside() -> None:
    frame = np.zeros((240, 240, 3), np.uint8)
    frame[:20] = 255
    frame[20:] = (200, 100, 50)
    picture = lip_picture(frame)
    assert picture.shape == (224, 224, 3)
    assert (picture[:174, 18:206] == (50, 100, 200)).all()
    assert (picture[178:] == 110).all()
    assert (picture[:, :14] == 110).all()
    assert (picture[:, 210:] == 110).all()


def test_a_wide_frame_keeps_its_proportions() -> None:
    frame = np.zeros((120, 240, 3), np.uint8)
    frame[20:100, 80:160] = 255
    rows, columns = np.nonzero(lip_picture(frame)[:, :, 0] == 255)
    assert np.ptp(rows) == pytest.approx(np.ptp(columns), abs=2)


# Lengths, rates and batches


@pytest.mark.parametrize(
    ("video_s", "sound_s", "num_windows"), [(1.2, 1.2, 25), (1.2, 2.0, 25), (2.0, 1.2, 25), (1.2, 1.19, 24)]
)
def test_what_lasts_longer_is_cut(
    tmp_path: Path, means: SyncConfidence, video_s: float, sound_s: float, num_windows: int
) -> None:
    video = tmp_path / "edited.mp4"
    write_video(video, frames(round(25 * video_s)), 25)
    lips_ND, voice_ND = means.features(video, write_hum(tmp_path / "neutral.wav", sound_s))
    assert len(lips_ND) == len(voice_ND) == num_windows


def test_a_clip_of_another_rate_is_seen_at_25_frames_a_second(
    tmp_path: Path, means: SyncConfidence, video: Path, sound: Path
) -> None:
    twice = tmp_path / "twice.mp4"
    write_video(twice, np.repeat(frames(NUM_PICTURES), 2, axis=0), 50, crf=0)
    expected_ND, found_ND = means.features(video, sound)[0], means.features(twice, sound)[0]
    assert expected_ND.shape == found_ND.shape
    torch.testing.assert_close(found_ND, expected_ND)


def test_windows_go_on_from_batch_to_batch(means: SyncConfidence) -> None:
    pictures = frames(47)
    expected = Means().lips(torch.from_numpy(np.stack([lip_picture(one) for one in pictures])).permute(3, 0, 1, 2) / 1)
    torch.testing.assert_close(means.lip_features(iter(pictures)), expected)


def test_sound_may_come_from_a_video(tmp_path: Path, means: SyncConfidence, video: Path, sound: Path) -> None:
    source = tmp_path / "neutral.mp4"
    write_video(source, frames(NUM_PICTURES), 25, sound)
    _, voice_ND = means.features(video, source)
    assert len(voice_ND) == NUM_PICTURES - 5


# Clips without a value


@pytest.mark.parametrize(
    ("num_pictures", "sound_s", "said"),
    [
        (NUM_PICTURES, None, "no_sound: edited.mp4 has no sound for its lips to follow"),
        (20, 2.0, "too_short: edited.mp4 and neutral.wav share 0.80 s, but 0.84 s are needed"),
        (NUM_PICTURES, 0.8, "too_short: edited.mp4 and neutral.wav share 0.80 s, but 0.84 s are needed"),
    ],
)
def test_a_clip_without_enough_to_compare_gets_a_reason(
    tmp_path: Path, means: SyncConfidence, num_pictures: int, sound_s: float | None, said: str
) -> None:
    video = tmp_path / "edited.mp4"
    write_video(video, frames(num_pictures), 25)
    sound = None if sound_s is None else write_hum(tmp_path / "neutral.wav", sound_s)
    (error,) = means.measure([shown(video, sound)], "sync").per_clip
    assert isinstance(error, ClipError)
    assert str(error) == said


def test_silence_gets_a_reason(tmp_path: Path, means: SyncConfidence, video: Path) -> None:
    write_sound(tmp_path / "silence.wav", np.zeros(16_000, np.float32), 16_000)
    (error,) = means.measure([shown(video, tmp_path / "silence.wav")], "sync").per_clip
    assert isinstance(error, ClipError)
    assert str(error) == "silent: silence.wav has a level of -200 dB, but -60 dB are needed"


def test_a_broken_clip_does_not_stop_the_others(
    tmp_path: Path, means: SyncConfidence, video: Path, sound: Path
) -> None:
    broken, noise = tmp_path / "broken.mp4", tmp_path / "noise.wav"
    broken.write_bytes(video.read_bytes()[:900])
    noise.write_bytes(b"no sound file")
    clips = [shown(broken, sound), shown(tmp_path / "none.mp4", sound), shown(video, noise), shown(video, sound)]
    measured = means.measure(clips, "sync")
    codes = [found.code if isinstance(found, ClipError) else "ok" for found in measured.per_clip]
    assert codes[1:] == ["missing_video", "unreadable_audio", "ok"]
    assert codes[0] in ("unreadable_video", "truncated")
    assert measured.of_set == {}


def test_without_the_published_file_there_is_no_metric(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"syncnet_v2\.model .* is missing"):
        SyncConfidence.load(tmp_path)


def test_the_published_file_makes_the_metric(tmp_path: Path, network: SyncNet) -> None:
    (tmp_path / "metrics").mkdir()
    torch.save(network.state_dict(), tmp_path / "metrics/syncnet_v2.model")
    metric = SyncConfidence.load(tmp_path)
    cepstra = torch.randn(1, 1, 13, 20)
    torch.testing.assert_close(metric.network.cpu().voice(cepstra), network.voice(cepstra))
