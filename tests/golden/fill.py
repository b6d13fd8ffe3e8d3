"""Weights and inputs that any program can rebuild, so that numbers compare without a weight file.

Each tensor is drawn from a generator seeded by the CRC-32 of its state-dict key; README.md spells out the rules.
Here are those the Connector needs.
"""

import math
import zlib

import numpy as np
import torch
from torch import Tensor, nn


def rng_for(tag: str) -> np.random.Generator:
    """Generator seeded by the CRC-32 of a tag."""
    return np.random.default_rng([zlib.crc32(tag.encode("utf-8")), 0])


def fill_array(key: str, shape: tuple[int, ...]) -> np.ndarray | None:
    """Value of one tensor, or None where the constructor's value is kept."""
    leaf = key.rsplit(".", 1)[-1]
    if leaf == "pe":
        return None
    if leaf == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    generator = rng_for(key)
    if leaf == "running_var":
        return (0.5 + generator.random(shape)).astype(np.float32)
    normal = generator.standard_normal(shape)
    if leaf == "running_mean" or leaf.endswith("bias"):
        value = 0.1 * normal
    elif len(shape) < 2:
        value = 1.0 + 0.1 * normal
    else:
        gain = math.sqrt(2.0) if len(shape) > 2 else 1.0
        value = normal * (gain / math.sqrt(int(np.prod(shape[1:]))))
    return np.asarray(value.astype(np.float32))


def fill(module: nn.Module) -> None:
    """Fill a module in place."""
    state = {}
    for key, old in module.state_dict().items():
        value = fill_array(key, tuple(old.shape))
        state[key] = old.clone() if value is None else torch.from_numpy(value).to(old.dtype)
    module.load_state_dict(state)


def normal(name: str, shape: tuple[int, ...], scale: float) -> Tensor:
    """Normal input of this name."""
    values = scale * rng_for("input:" + name).standard_normal(shape)
    return torch.from_numpy(values.astype(np.float32))


def integers(name: str, shape: tuple[int, ...], low: int, high: int) -> Tensor:
    """Whole numbers from low to below high, input of this name."""
    return torch.from_numpy(rng_for("input:" + name).integers(low, high, shape))


def sample(tensor: Tensor, limit: int = 4096) -> np.ndarray:
    """Evenly strided entries of the flattened tensor."""
    values = tensor.detach().cpu().numpy().reshape(-1)
    return values[:: max(1, -(-values.size // limit))]
