"""Lips from speech against the published routine."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from fill import AUDIO2LIP, fill, normal, sample, waveform
from torch import Tensor

from cmet.backbones.edtalk.audio2lip import Audio2Lip, lips_from_speech, smooth
from cmet.backbones.edtalk.mel import mel_spectrogram, mel_windows

HERE = Path(__file__).parent
GOLDEN = np.load(HERE / "audio2lip.npz")
KEYS = json.loads((HERE / "keys_edtalk_audio2lip.json").read_text())
WAVE = waveform("audio2lip/wave", 2.0)
TOLERANCE = 2e-4
"""Of the largest magnitude."""


def assert_golden(name: str, found: Tensor | np.ndarray) -> None:
    expected = GOLDEN[name]
    tolerance = TOLERANCE * np.abs(expected).max()
    np.testing.assert_allclose(np.asarray(found), expected, atol=tolerance, rtol=0, err_msg=name)


@pytest.fixture(scope="module")
def network() -> Audio2Lip:
    network = Audio2Lip().eval()
    fill(network, AUDIO2LIP)
    return network


def test_state_dict_has_the_published_keys_shapes_and_order() -> None:
    network = Audio2Lip()
    state = network.state_dict()
    assert list(state) == list(KEYS["state"])
    for name, entry in KEYS["state"].items():
        assert (list(state[name].shape), str(state[name].dtype)) == (entry["shape"], f"torch.{entry['dtype']}")
    assert sum(parameter.numel() for parameter in network.parameters()) == KEYS["parameters"]


def test_coefficients_are_the_published_ones(network: Audio2Lip) -> None:
    with torch.inference_mode():
        assert_golden("coefficients", network(normal("audio2lip/mel", (10, 1, 80, 16), 2.0))[None])


def test_the_mel_spectrogram_is_the_published_one() -> None:
    assert_golden("mel", mel_spectrogram(WAVE))
    reflected = mel_spectrogram(WAVE, ends="reflect")
    assert_golden("mel_reflect_edges", torch.stack([reflected[:, :3], reflected[:, -3:]]))


def test_windows_are_the_published_ones() -> None:
    windows_F1MC = mel_windows(WAVE)
    assert list(windows_F1MC.shape) == GOLDEN["windows_shape"].tolist()
    assert_golden("windows_sample", sample(windows_F1MC, 8000))
    assert_golden("windows_first", windows_F1MC[0, 0])
    assert_golden("windows_last", windows_F1MC[-1, 0])


def test_what_does_not_fill_a_video_frame_is_cut() -> None:
    windows_F1MC = mel_windows(WAVE[:31000])
    assert len(windows_F1MC) == GOLDEN["odd_length_frames"]
    assert float(windows_F1MC.double().sum()) == pytest.approx(float(GOLDEN["odd_length_sum"]), rel=1e-6)


def test_smoothing_is_the_published_one() -> None:
    assert_golden("track_smooth", smooth(normal("audio2lip/track", (12, 20), 1.0)))


def test_lips_of_a_waveform_are_the_published_ones(network: Audio2Lip) -> None:
    with torch.inference_mode():
        assert_golden("wave_lips", network(mel_windows(WAVE)))
    assert_golden("wave_lips_smooth", lips_from_speech(network, WAVE))
