"""EDTalk's renderer against the published one."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from fill import EDTALK, fill, images, normal, picture_grid, plane_stats, sample
from torch import Tensor

from cmet.backbones.edtalk.generator import EXPRESSION, LIP, POSE, Generator
from cmet.backbones.edtalk.rendering import Renderer, Source

HERE = Path(__file__).parent
GOLDEN = np.load(HERE / "edtalk.npz")
KEYS = json.loads((HERE / "keys_edtalk_generator.json").read_text())
TOLERANCE = 2e-4
"""Of the largest magnitude."""


def assert_golden(name: str, found: Tensor | np.ndarray) -> None:
    expected = GOLDEN[name]
    # the statistics differ by orders of magnitude, so each has its own bound
    scale = np.abs(expected).max((0, 1)) if name.endswith("_stats") else np.abs(expected).max()
    np.testing.assert_allclose(np.asarray(found) / scale, expected / scale, atol=TOLERANCE, rtol=0, err_msg=name)


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    generator = Generator()
    fill(generator, EDTALK)
    return Renderer(generator, batch_size=2)


@pytest.fixture(scope="module")
def frames() -> Tensor:
    return images("edtalk/frames", 3, 256)


@pytest.fixture(scope="module")
def source(renderer: Renderer, frames: Tensor) -> Source:
    return renderer.source(frames[0])


@pytest.fixture(scope="module")
def coefficients(renderer: Renderer, frames: Tensor) -> Tensor:
    return renderer.coefficients(frames)


@pytest.fixture(scope="module")
def audio_driven(coefficients: Tensor) -> Tensor:
    """Lip given, pose of the second frame, expression given."""
    row = coefficients[1:2].clone()
    row[:, LIP], row[:, EXPRESSION] = normal("edtalk/lip", (1, 20), 1.0), normal("edtalk/exp", (1, 10), 1.0)
    return row


def test_state_dict_has_the_published_keys_shapes_and_order() -> None:
    with torch.device("meta"):
        generator = Generator()
    state = generator.state_dict()
    assert list(state) == list(KEYS["state"])
    parameters = [name for name, entry in KEYS["state"].items() if entry["kind"] == "parameter"]
    assert [name for name, _ in generator.named_parameters()] == parameters
    for name, entry in KEYS["state"].items():
        assert (list(state[name].shape), str(state[name].dtype)) == (entry["shape"], f"torch.{entry['dtype']}")
    assert sum(parameter.numel() for parameter in generator.parameters()) == KEYS["parameters"]


def test_coefficients_are_the_published_ones(coefficients: Tensor) -> None:
    assert_golden("alpha_lip", coefficients[:, LIP])
    assert_golden("alpha_pose", coefficients[:, POSE])
    assert_golden("alpha_exp", coefficients[:, EXPRESSION])


def test_latents_and_basis_are_the_published_ones(renderer: Renderer, source: Source, audio_driven: Tensor) -> None:
    assert_golden("source_latent", source.latent_1S)
    assert_golden("basis", renderer.basis_SK)
    assert_golden("motion_latent", renderer.motion(audio_driven))
    assert_golden("expression_latent", renderer.expression(audio_driven))


def test_maps_before_and_after_the_expression_are_the_published_ones(
    renderer: Renderer, source: Source, audio_driven: Tensor
) -> None:
    with torch.inference_mode():
        expressed = renderer.generator.dec.express(source.maps, renderer.expression(audio_driven))
    for level, (one, modulated) in enumerate(zip(source.maps, expressed, strict=True)):
        assert_golden(f"feature{level}_sample", sample(one.feature_MCHW, 512))
        assert_golden(f"modulated{level}_sample", sample(modulated, 512))


def test_a_picture_with_lips_from_speech_is_the_published_one(
    renderer: Renderer, source: Source, audio_driven: Tensor
) -> None:
    (picture_13HW,) = renderer.render(source, audio_driven)
    assert_golden("av_grid", picture_grid(picture_13HW, 4))
    assert_golden("av_stats", plane_stats(picture_13HW))


def test_a_picture_with_lips_from_a_video_is_the_published_one(
    renderer: Renderer, source: Source, coefficients: Tensor, audio_driven: Tensor
) -> None:
    video_driven = audio_driven.clone()
    video_driven[:, LIP] = coefficients[2, LIP]
    (picture_13HW,) = renderer.render(source, video_driven)
    assert_golden("v_grid", picture_grid(picture_13HW, 8))
    assert_golden("v_stats", plane_stats(picture_13HW))


def test_a_batch_with_a_source_per_sample_is_the_published_one(
    renderer: Renderer, frames: Tensor, coefficients: Tensor, audio_driven: Tensor
) -> None:
    both = torch.cat([audio_driven, -audio_driven])
    both[:, POSE] = coefficients[1:, POSE]
    decoder = renderer.generator.dec
    with torch.inference_mode():
        latents_2S, features = renderer.generator.enc.with_features(frames[:2])
        latents_2S = latents_2S + renderer.motion(both)
        pictures_23HW = decoder(decoder.prepare(features), latents_2S, renderer.expression(both))
    assert_golden("av_batch2_grid", picture_grid(pictures_23HW, 8))
    assert_golden("av_batch2_stats", plane_stats(pictures_23HW))
