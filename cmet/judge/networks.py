"""The networks that a judge can be, and how each is fed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    num_threads: int | None
    """With how many it is trained, whatever OMP_NUM_THREADS says: sums depend on it. None is what torch chooses."""

    @property
    def device(self) -> torch.device:
        """Where it runs on this machine."""
        return best_device() if self.is_for_gpu else torch.device("cpu")

    @contextmanager
    def training_threads(self) -> Iterator[None]:
        """A block in which torch has the threads that such a network is trained with."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.num_threads or before)
        try:
            yield
        finally:
            torch.set_num_threads(before)


KINDS = {
    "small": NetworkKind(SmallNetwork, by_area, frames_at_once=256, is_for_gpu=False, num_threads=2),
    "resnet18": NetworkKind(PlainJudge, bilinear, frames_at_once=32, is_for_gpu=True, num_threads=None),
}
"""By the name that `judge.network` has."""
