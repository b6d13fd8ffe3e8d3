"""Weights of face-api's networks, which come with cmet: numbers as they were published, names those of our modules.

Source: the npm package `@vladmandic/face-api`; see `faceapi_model/README.md`.
"""

from importlib import resources

import torch
from safetensors.torch import load
from torch import Tensor

MEAN_RGB = (122.782, 117.001, 104.298)
"""What all networks of face-api take from their pixels before they are divided by 255."""

RANGE = ".range"
"""What follows the name of weights that are kept as bytes: the step of one, and the value of byte 0."""


def faceapi_weights(name: str) -> dict[str, Tensor]:
    """The weights of a network, float32, for `load_state_dict`.

    Args:
        name: `expression` or `descriptor`.
    """
    path = resources.files("cmet.scores.metrics") / "faceapi_model" / f"{name}.safetensors"
    return unpacked(load(path.read_bytes()))


def unpacked(kept: dict[str, Tensor]) -> dict[str, Tensor]:
    """Bytes as the numbers they stand for, all else as it is; the ranges are left out."""
    weights = {}
    for name, value in kept.items():
        if not name.endswith(RANGE):
            scale = kept.get(name + RANGE)
            weights[name] = value if scale is None else (value.double() * scale[0] + scale[1]).float()
    return weights


def centred(pictures_N3PP: Tensor) -> Tensor:
    """Pixels from 0 to 255 as the networks take them."""
    mean = torch.tensor(MEAN_RGB, device=pictures_N3PP.device)
    return (pictures_N3PP - mean[:, None, None]) / 255
