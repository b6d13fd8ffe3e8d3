"""A network small enough to be trained on a CPU within a minute: the sample's judge.

Legend: N pictures, P pixels of a side, C classes.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

POOLED_PX = 2
"""The last maps are averaged to this size: brows and mouth, left and right stay apart."""


class SmallNetwork(nn.Module):
    """A strided network of a quarter of a million weights."""

    def __init__(self, num_classes: int) -> None:
        """Build it; the weights come from torch's current random state."""
        super().__init__()
        self.features = nn.Sequential(
            _convolution(3, 16, size=5),
            _convolution(16, 32),
            _convolution(32, 64),
            _convolution(64, 128),
            _Residual(128),
        )
        self.features.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(128 * POOLED_PX**2, num_classes))

    def forward(self, pictures_N3PP: Tensor) -> Tensor:
        """Logits of pictures with values 0-1, shape (N, C)."""
        # each colour of each picture to mean 0 and spread 1: light and skin say nothing of the emotion
        normal = functional.instance_norm(pictures_N3PP, eps=1e-4)
        maps = self.features(normal.contiguous(memory_format=torch.channels_last))
        return self.head(functional.adaptive_avg_pool2d(maps, POOLED_PX).flatten(1))


def _convolution(num_in: int, num_out: int, size: int = 3, stride: int = 2) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(num_in, num_out, size, stride, size // 2, bias=False), nn.BatchNorm2d(num_out), nn.ReLU(inplace=True)
    )


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.change = nn.Sequential(nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, maps: Tensor) -> Tensor:
        return functional.relu(maps + self.change(maps))
