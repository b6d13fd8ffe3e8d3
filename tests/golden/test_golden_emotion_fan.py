"""Emotion-FAN against the published networks."""

import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from fill import EMOTION_FAN, fill, images

from cmet.evaluation.emotion_fan import EmotionFan, Form

HERE = Path(__file__).parent
FORMS = get_args(Form)
TOLERANCE = 2e-4
"""Of the largest magnitude."""


@pytest.mark.parametrize("form", FORMS)
def test_state_dict_has_the_published_keys_shapes_and_order(form: Form) -> None:
    expected = json.loads((HERE / f"keys_emotion_fan_{form}.json").read_text())
    network = EmotionFan(form)
    state = network.state_dict()
    assert sorted(state) == sorted(expected["state"])
    parameters = [key for key, entry in expected["state"].items() if entry["kind"] == "parameter"]
    assert [key for key, _ in network.named_parameters()] == parameters
    for key, entry in expected["state"].items():
        assert (list(state[key].shape), str(state[key].dtype)) == (entry["shape"], f"torch.{entry['dtype']}")
    assert sum(parameter.numel() for parameter in network.parameters()) == expected["parameters"]


@pytest.mark.parametrize("form", FORMS)
@torch.no_grad()
def test_features_weights_and_scores_are_the_published_ones(form: Form) -> None:
    golden = np.load(HERE / "emotion_fan.npz")
    network = EmotionFan(form)
    fill(network, EMOTION_FAN)
    network.eval()
    frames = images("fan/frames", 5, 224) / 2 + 0.5
    read = network.read(frames)
    feature_BF, weight_B1 = read
    videos = [
        network.scores(feature_BF[None, part], weight_B1[None, part], as_published=True)
        for part in (slice(0, 3), slice(3, 5))
    ]
    found = {
        "feature": feature_BF,
        "weight": weight_B1,
        "video_scores": torch.cat(videos),
        "three_frame_scores": network(torch.stack([frames[0:3], frames[1:4]])),
    }
    for name, values in found.items():
        expected = golden[f"{form}_{name}"]
        difference = np.abs(values.numpy() - expected).max()
        largest = np.abs(expected).max()
        print(f"{form}_{name:<28}{difference:.2e} of {largest:.4g}, allowed {TOLERANCE * largest:.2e}")
        assert difference <= TOLERANCE * largest, name
