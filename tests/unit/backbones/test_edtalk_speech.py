import numpy as np
import pytest
import torch
from fill import AUDIO2LIP, fill, waveform

from cmet.backbones.edtalk.audio2lip import Audio2Lip, lips_from_speech, smooth_lips
from cmet.backbones.edtalk.mel import audio2lip_bands, mel_windows


@pytest.fixture(scope="module")
def network() -> Audio2Lip:
    network = Audio2Lip().eval()
    fill(network, AUDIO2LIP)
    return network


def test_lips_are_the_same_for_any_batch_size(network: Audio2Lip) -> None:
    wave = waveform("speech", 0.5)
    whole = lips_from_speech(network, wave)
    assert whole.shape == (12, 20)
    for batch_size in (1, 5):
        torch.testing.assert_close(lips_from_speech(network, wave, batch_size), whole, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("num_samples", "num_frames"), [(640, 1), (1279, 1), (1280, 2)])
def test_there_is_one_window_per_whole_video_frame(num_samples: int, num_frames: int) -> None:
    windows = mel_windows(waveform("speech", 0.5)[:num_samples])
    assert windows.shape == (num_frames, 1, 80, 16)
    assert windows.dtype == torch.float32


def test_sound_shorter_than_a_video_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="sound: expected at least 640 samples, got 639"):
        mel_windows(np.zeros(639, np.float32))


def test_silence_is_the_lowest_level() -> None:
    assert mel_windows(np.zeros(6400, np.float32)).unique().tolist() == [-4.0]


def test_bands_are_triangles_from_55_to_7600_hz() -> None:
    bands = audio2lip_bands()
    assert bands.shape == (80, 401)
    heard = bands.sum(0) > 0
    assert not heard[:3].any()
    assert not heard[381:].any()
    assert heard[4:380].all()


def test_smoothing_shrinks_the_ends_unless_it_holds_them() -> None:
    constant = torch.ones(4, 20)
    ends = smooth_lips(constant)[:, 0]
    torch.testing.assert_close(ends, torch.tensor([0.7259, 1.0, 1.0, 0.7259]), atol=1e-4, rtol=0)
    torch.testing.assert_close(smooth_lips(constant, holds_ends=True), constant)
