"""ResNet-18 files with random weights, as they are published, and parameters for them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cmet.judge.classifier import Judge
from cmet.judge.emotion_fan import PlainJudge
from cmet.params import JudgeParams
from tests.unit.conftest import JUDGE

PAPER_ORDER = ["happy", "angry", "disgusted", "fear", "sad", "contempt", "surprised"]
RESNET: dict[str, Any] = {"network": "resnet18", "num_epochs": 1, "num_frames": 2, "num_train_frames": 1}
RELEASED: dict[str, Any] = {"label_order": PAPER_ORDER, "trained_on": "MEAD, 44 speakers"}
"""What belongs to `checkpoint`."""


def params(**changes: Any) -> JudgeParams:
    """The `judge` section of the tiny project with some keys changed, checked."""
    return JudgeParams.model_validate(JUDGE.model_dump() | changes)


def logits_of(judge: Judge, clip: Path) -> np.ndarray:
    """What a judge says of one clip that can be read."""
    (answer,) = judge.classify_clips([clip])
    assert isinstance(answer, np.ndarray)
    return answer


@pytest.fixture(scope="session")
def trunk_and_head() -> Mapping[str, Tensor]:
    """A ResNet-18 with seven outputs, weights by the names of torchvision.

    Each tensor is one value everywhere, of which a file holds a single copy: tens of files are written here.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = PlainJudge().state_dict()
    return {key: tensor.flatten()[:1].clone().expand(tensor.shape) for key, tensor in state.items() if tensor.ndim} | {
        key: tensor for key, tensor in state.items() if not tensor.ndim
    }


@pytest.fixture
def save(trunk_and_head: Mapping[str, Tensor]) -> Callable[..., Path]:
    """Writes that network to a file, with changed tensors (None leaves one out)."""

    def write(path: Path, place: str | None = "state_dict", prefix: str = "", **changes: Tensor | None) -> Path:
        tensors = trunk_and_head | {key.replace("__", "."): tensor for key, tensor in changes.items()}
        state = {prefix + key: tensor for key, tensor in tensors.items() if tensor is not None}
        torch.save(state if place is None else {"epoch": 12, place: state}, path)
        return path

    return write
