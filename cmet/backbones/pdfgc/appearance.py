"""PD-FGC's appearance network: what a person looks like, from one picture.

Legend: B pictures, C channels, P side of a picture or map in pixels, V appearance values (2048), I identities.

Source: Dorniwang/PD-FGC-inference at d3c1488, the network behind `appearance_model.pth`. Its identity classifier is
kept as tensors only; no picture depends on it.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

APPEARANCE_WIDTH = 2048
MAP_CHANNELS = 512
MAP_PX = 7
"""Side of the map with which the generator begins."""
NUM_IDENTITIES = 5995
NUM_CLASSES = 1000
"""Rows of the classifier that the ResNeXt brings along and nothing uses."""

GROUPS = 32
LAYERS = ((128, 3, 1), (256, 4, 2), (512, 6, 2), (1024, 3, 2))
"""Channels inside the blocks, number of blocks, stride of the first one; a block gives twice its channels."""


class Appearance(NamedTuple):
    """A person, as the generator needs them."""

    vector_BV: Tensor
    map_BCPP: Tensor


class AppearanceNetwork(nn.Module):
    """ResNeXt-50 (32 groups of width 4) with a vector and a map as outputs."""

    def __init__(self) -> None:
        """Draw initial weights; names and their order are those of the published state dict."""
        super().__init__()
        self.model = ResNeXt()
        self.conv1x1 = nn.Conv2d(APPEARANCE_WIDTH, MAP_CHANNELS, 1)
        self.fc = nn.Linear(APPEARANCE_WIDTH, NUM_IDENTITIES)

    def forward(self, pictures_BCPP: Tensor) -> Appearance:
        """Appearance of pictures (B, 3, 224, 224) in [-1, 1]: vector (B, 2048) and map (B, 512, 7, 7)."""
        maps_BCPP = self.model(pictures_BCPP)
        return Appearance(
            maps_BCPP.mean((2, 3)), functional.adaptive_avg_pool2d(self.conv1x1(maps_BCPP), (MAP_PX, MAP_PX))
        )


class ResNeXt(nn.Module):
    """The trunk, in the layout of torchvision."""

    def __init__(self) -> None:
        """Make the stem and four stages."""
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        num_in = 64
        for number, (inner, num_blocks, stride) in enumerate(LAYERS, 1):
            blocks = [
                Bottleneck(num_in if i == 0 else 2 * inner, inner, stride if i == 0 else 1) for i in range(num_blocks)
            ]
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
            num_in = 2 * inner
        self.fc = nn.Linear(APPEARANCE_WIDTH, NUM_CLASSES)

    def forward(self, pictures_BCPP: Tensor) -> Tensor:
        """Last map, shape (B, 2048, P / 32, P / 32)."""
        maps = functional.max_pool2d(torch.relu(self.bn1(self.conv1(pictures_BCPP))), 3, 2, 1)
        for number in range(1, len(LAYERS) + 1):
            maps = self.get_submodule(f"layer{number}")(maps)
        return maps


class Bottleneck(nn.Module):
    """1x1, grouped 3x3, 1x1 convolution around a shortcut."""

    def __init__(self, num_in: int, inner: int, stride: int) -> None:
        """Map num_in channels to twice the inner ones."""
        super().__init__()
        num_out = 2 * inner
        self.conv1 = nn.Conv2d(num_in, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, groups=GROUPS, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, num_out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(num_out)
        self.downsample = (
            nn.Sequential(nn.Conv2d(num_in, num_out, 1, stride, bias=False), nn.BatchNorm2d(num_out))
            if num_in != num_out or stride > 1
            else None
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, num_in, P, P) to (B, num_out, P / stride, P / stride)."""
        out = torch.relu(self.bn1(self.conv1(maps)))
        out = torch.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return torch.relu(out + (maps if self.downsample is None else self.downsample(maps)))
