"""The networks that a judge can be, and how each is fed."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from cmet.environment import best_device
from cmet.judge.emotion_fan import PlainJudge
from cmet.judge.frames import Resize, bilinear, by_area
from cmet.judge.small import SmallNetwork


@dataclass(frozen=True)
class NetworkKind:
    """A kind of network: it maps pictures with values 0-1, shape (N, 3, P, P), to logits, shape (N, C)."""

    make: Callable[[int], nn.Module]
    """Draws a network for a number of classes from torch's current random state."""
    resize: Resize
    frames_at_once: int
    """Frames of one pass without gradients; what a pass needs of memory."""
    is_for_gpu: bool
    """Whether it runs on a GPU where there is one; otherwise always on the CPU, where a seed gives the same bytes."""

    @property
    def device(self) -> torch.device:
        """Where it runs on this machine."""
        return best_device() if self.is_for_gpu else torch.device("cpu")


KINDS = {
    "small": NetworkKind(SmallNetwork, by_area, frames_at_once=256, is_for_gpu=False),
    "resnet18": NetworkKind(PlainJudge, bilinear, frames_at_once=32, is_for_gpu=True),
}
"""By the name that `judge.network` has."""
