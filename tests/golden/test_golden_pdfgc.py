"""PD-FGC against the published networks and pipeline."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch
from fill import PDFGC, Profile, fill, images, normal, plane_stats, sample, uniform, waveform
from torch import Tensor, nn

from cmet.backbones.pdfgc.appearance import AppearanceNetwork
from cmet.backbones.pdfgc.audio import AudioNetwork
from cmet.backbones.pdfgc.control import Drivers, Part, control_values
from cmet.backbones.pdfgc.generator import Generator
from cmet.backbones.pdfgc.layers import Noise
from cmet.backbones.pdfgc.motion import MotionNetwork
from cmet.backbones.pdfgc.spectrogram import analysis_window, spectrogram
from cmet.weights import NETWORKS

HERE = Path(__file__).parent
GOLDEN = np.load(HERE / "pdfgc.npz")
TOLERANCE = 2e-4
"""Of the largest magnitude."""

AnyNetwork = TypeVar("AnyNetwork", bound=nn.Module)


def filled(kind: type[AnyNetwork], profile: Profile) -> AnyNetwork:
    network = kind()
    fill(network, profile)
    return network.eval()


def compare(found: Mapping[str, Tensor | np.ndarray], golden: Mapping[str, np.ndarray]) -> None:
    for name, values in found.items():
        expected = golden[name]
        difference = np.abs(np.reshape(np.asarray(values), expected.shape) - expected).max()
        largest = np.abs(expected).max()
        print(f"{name:<28}{difference:.2e} of {largest:.4g}, allowed {TOLERANCE * largest:.2e}")
        assert difference <= TOLERANCE * largest, name


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (AppearanceNetwork, "appearance"),
        (MotionNetwork, "motion"),
        (AudioNetwork, "audio"),
        (Generator, "generator"),
    ],
)
def test_state_dict_has_the_published_keys_shapes_and_order(kind: type[nn.Module], name: str) -> None:
    expected = json.loads((HERE / f"keys_pdfgc_{name}.json").read_text())
    with torch.device("meta"):
        network = kind()
    state = network.state_dict()
    assert sorted(state) == sorted(expected["state"])
    parameters = [key for key, entry in expected["state"].items() if entry["kind"] == "parameter"]
    assert [key for key, _ in network.named_parameters()] == parameters
    for key, entry in expected["state"].items():
        assert (list(state[key].shape), str(state[key].dtype)) == (entry["shape"], f"torch.{entry['dtype']}")
    assert sum(parameter.numel() for parameter in network.parameters()) == expected["parameters"]
    registered = NETWORKS[f"pdfgc_{name}"]
    assert registered.shapes == {key: tuple(state[key].shape) for key in state if not registered.skips(key)}


@torch.no_grad()
def test_the_appearance_is_the_published_one() -> None:
    network = filled(AppearanceNetwork, PDFGC["appearance"])
    vector_BV, map_BCPP = network(images("pdfgc/pictures", 3, 224)[:2])
    compare(
        {
            "appearance_vector": vector_BV,
            "appearance_grid_sample": sample(map_BCPP, 8000),
            "appearance_scores_sample": sample(network.fc(vector_BV), 1000),
        },
        GOLDEN,
    )


@torch.no_grad()
def test_the_motion_is_the_published_one() -> None:
    network = filled(MotionNetwork, PDFGC["motion"])
    pictures = images("pdfgc/pictures", 3, 224)
    pose_B6, eye_B6, expression_BE = network(pictures)
    compare(
        {
            "motion_pose": pose_B6,
            "motion_eye": eye_B6,
            "motion_emotion": expression_BE,
            "motion_mouth": network.mouth(pictures),
        },
        GOLDEN,
    )


@torch.no_grad()
def test_the_mouth_from_speech_is_the_published_one() -> None:
    network = filled(AudioNetwork, PDFGC["audio"])
    windows = uniform("pdfgc/spectrogram", (4, 1, 80, 20), 0, 1)
    compare({"audio_feature": network.model(windows), "audio_mouth": network(windows)}, GOLDEN)


@torch.no_grad()
def test_the_pictures_are_the_published_ones_with_and_without_noise() -> None:
    network = filled(Generator, PDFGC["generator"])
    style_BY = normal("pdfgc/style", (2, 2590), 0.5)
    map_BCPP = normal("pdfgc/identity", (2, 512, 7, 7), 1.0)
    pictures = network(map_BCPP, style_BY)
    for module in network.modules():
        if isinstance(module, Noise):
            module.field.zero_()
    quiet = network(map_BCPP, style_BY)
    colours = [network.to_rgb1, *network.to_rgbs]
    compare(
        {
            "picture_grid": pictures[..., ::4, ::4],
            "picture_stats": plane_stats(pictures),
            "quiet_picture_grid": quiet[..., ::4, ::4],
            "quiet_picture_stats": plane_stats(quiet),
        }
        | {f"rgb_style{number}": layer.conv.modulation(style_BY) for number, layer in enumerate(colours)},
        GOLDEN,
    )


@pytest.fixture(scope="module")
@torch.no_grad()
def driven() -> tuple[Tensor, Drivers]:
    """Mouth and driving tracks of the control pipeline."""
    motion = filled(MotionNetwork, PDFGC["motion"])
    mouth_NM = filled(AudioNetwork, PDFGC["audio"])(uniform("pdfgc/track", (11, 1, 80, 20), 0, 1))
    pose_T6 = motion(images("pdfgc/drive_pose", 14, 224)).pose_B6
    expression_TE = motion(images("pdfgc/drive_expression", 13, 224)).expression_BE
    eye_T6 = motion(images("pdfgc/drive_eye", 12, 224)).eye_B6
    return mouth_NM, Drivers(pose_T6, expression_TE, eye_T6)


@pytest.mark.parametrize(
    ("name", "off"),
    [
        ("all", None),
        ("no_blink", "blink"),
        ("no_gaze", "gaze"),
        ("no_pose", "pose"),
        ("no_emotion", "expression"),
        ("no_mouth", "mouth"),
    ],
)
def test_control_values_are_the_published_ones(driven: tuple[Tensor, Drivers], name: str, off: Part | None) -> None:
    control_NC = control_values(*driven, frozenset({off} if off else ()))
    compare({name: control_NC if off is None else sample(control_NC, 2000)}, np.load(HERE / "pdfgc_control.npz"))


def test_the_spectrogram_is_the_published_one() -> None:
    golden = np.load(HERE / "pdfgc_audio_frontend.npz")
    samples = waveform("pdfgc/wave", 1.0)
    found = {
        "spectrogram": spectrogram(samples),
        "window": analysis_window(),
        "rms_before": np.sqrt(np.mean(np.square(samples, dtype=np.float64))),
    }
    compare(found, golden)
