"""Weights and inputs that any program can rebuild, so that numbers compare without a weight file.

Each tensor is drawn from a generator seeded by the CRC-32 of its state-dict key; README.md spells out the rules.
"""

import math
import zlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Profile:
    """How the weights of a network are scaled."""

    gain: float
    """Multiplies 1 / sqrt(fan-in) of tensors with three or more axes."""
    is_unit: bool = False
    """Weights are unit normals: the layers scale them at run time."""


CONNECTOR = Profile(math.sqrt(2.0))
AUDIO2LIP = Profile(1.1)
EDTALK = Profile(1.0, is_unit=True)
PDFGC = {
    "appearance": Profile(1.0),
    "audio": Profile(math.sqrt(2.0)),
    "generator": Profile(1.0, is_unit=True),
    "motion": Profile(1.0),
}
METRICS = Profile(1.2)

KEPT_LEAVES = frozenset({"kernel", "pe"})
"""Constant tables of the constructor."""

UNREAD = "style."
"""The mapping network in PD-FGC's generator, more than half of it, which takes part in no result."""

PART = 2**14
"""Values that are drawn at once."""


def rng_for(tag: str) -> np.random.Generator:
    """Generator seeded by the CRC-32 of a tag."""
    return np.random.default_rng([zlib.crc32(tag.encode("utf-8")), 0])


def fill_array(key: str, shape: tuple[int, ...], profile: Profile) -> np.ndarray | None:
    """Value of one tensor, or None where the constructor's value is kept."""
    leaf = key.rsplit(".", 1)[-1]
    if leaf in KEPT_LEAVES or key.startswith(UNREAD):
        return None
    if leaf == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    generator = rng_for(key)
    if leaf == "running_var":
        return (0.5 + generator.random(shape)).astype(np.float32)
    mean, scale = 0.0, 1.0
    if leaf == "running_mean" or leaf.endswith("bias"):
        mean, scale = float(key.endswith("modulation.bias")), 0.1
    elif key.endswith("noise.weight"):
        scale = 0.2
    elif len(shape) < 2:
        mean, scale = 1.0, 0.1
    elif profile.is_unit and ".to_flows." in key and key.endswith(".conv.weight"):
        scale = 0.05  # a gentle flow: a strong one would amplify rounding
    elif not profile.is_unit or "fineadainresblock" in key:
        gain = profile.gain if len(shape) > 2 else 1.0
        scale = gain / math.sqrt(int(np.prod(shape[1:])))
    return scaled_normal(generator, shape, mean, scale)


def scaled_normal(generator: np.random.Generator, shape: tuple[int, ...], mean: float, scale: float) -> np.ndarray:
    """Mean plus scale times a normal, rounded to float32; drawn in parts, since memory is slower than drawing."""
    values = np.empty(shape, np.float32)
    flat = values.reshape(-1)
    for start in range(0, flat.size, PART):
        part = flat[start : start + PART]
        part[:] = mean + scale * generator.standard_normal(len(part))
    return values


def fill(module: nn.Module, profile: Profile = CONNECTOR) -> None:
    """Fill a module in place."""
    state = {}
    for key, old in module.state_dict().items():
        value = fill_array(key, tuple(old.shape), profile)
        state[key] = old.clone() if value is None else torch.from_numpy(value).to(old.dtype)
    module.load_state_dict(state)


def normal(name: str, shape: tuple[int, ...], scale: float) -> Tensor:
    """Normal input of this name."""
    values = scale * rng_for("input:" + name).standard_normal(shape)
    return torch.from_numpy(values.astype(np.float32))


def uniform(name: str, shape: tuple[int, ...], low: float, high: float) -> Tensor:
    """Uniform input of this name, from low to high."""
    values = low + (high - low) * rng_for("input:" + name).random(shape)
    return torch.from_numpy(values.astype(np.float32))


def integers(name: str, shape: tuple[int, ...], low: int, high: int) -> Tensor:
    """Whole numbers from low to below high, input of this name."""
    return torch.from_numpy(rng_for("input:" + name).integers(low, high, shape))


def images(name: str, num: int, size_px: int) -> Tensor:
    """Smooth pictures (num, 3, size, size) in [-1, 1]: tanh of six plane waves and weak noise, input of this name."""
    generator = rng_for("input:" + name)
    axis = np.arange(size_px) / size_px
    pictures = np.empty((num, 3, size_px, size_px))
    for plane in pictures.reshape(-1, size_px, size_px):
        plane[:] = 0.0
        for _ in range(6):
            across_y, across_x = generator.uniform(-6.0, 6.0, 2)
            phase = generator.uniform(0.0, 2.0 * np.pi)
            height = generator.uniform(0.2, 0.8)
            plane += height * np.sin(2.0 * np.pi * (across_y * axis[:, None] + across_x * axis) + phase)
        plane += 0.05 * generator.standard_normal((size_px, size_px))
    return torch.from_numpy(np.tanh(pictures).astype(np.float32))


def waveform(name: str, duration_s: float, sample_rate_hz: int = 16000) -> np.ndarray:
    """Five gliding partials under a slow envelope, and noise, float32, input of this name."""
    generator = rng_for("input:" + name)
    num_samples = round(duration_s * sample_rate_hz)
    time_s = np.arange(num_samples) / sample_rate_hz
    base_hz = generator.uniform(110.0, 220.0)
    glide_hz = generator.uniform(0.5, 2.0)
    tone = np.zeros(num_samples)
    for partial in range(1, 6):
        height = generator.uniform(0.1, 1.0) / partial
        phase = generator.uniform(0.0, 2.0 * np.pi)
        wobble = 3.0 * partial * np.sin(2.0 * np.pi * glide_hz * time_s)
        tone += height * np.sin(2.0 * np.pi * partial * base_hz * time_s + wobble + phase)
    envelope = 0.5 * (1.0 - np.cos(2.0 * np.pi * 3.0 * time_s))
    return (0.2 * envelope * tone + 0.002 * generator.standard_normal(num_samples)).astype(np.float32)


def sample(tensor: Tensor, limit: int = 4096) -> np.ndarray:
    """Evenly strided entries of the flattened tensor."""
    values = tensor.detach().cpu().numpy().reshape(-1)
    return values[:: max(1, -(-values.size // limit))]


def plane_stats(pictures: Tensor) -> np.ndarray:
    """Mean, standard deviation and sum of magnitudes per plane, shape (N, C, 3), float64."""
    values = pictures.detach().cpu().numpy().astype(np.float64)
    values = values.reshape(*values.shape[:2], -1)
    return np.stack([values.mean(-1), values.std(-1), np.abs(values).sum(-1)], -1)


def picture_grid(pictures: Tensor, step: int) -> np.ndarray:
    """Every step-th row and column, from the first."""
    return pictures.detach().cpu().numpy()[..., ::step, ::step]
