"""PD-FGC's motion network: head pose, eyes and expression of driving pictures.

Legend: B pictures, C channels, P side of a map in pixels, F features (512).

Source: Dorniwang/PD-FGC-inference at d3c1488, the network behind `motion_model.pth`; its trunk is a face alignment
network with one hourglass.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

NUM_FEATURES = 512
POSE_WIDTH = 6
EYE_WIDTH = 6
EXPRESSION_WIDTH = 30
MOUTH_WIDTH = 500

HOURGLASS_DEPTH = 4
NUM_LANDMARK_MAPS = 68


class MotionCodes(NamedTuple):
    """What drives a face, of each picture."""

    pose_B6: Tensor
    eye_B6: Tensor
    expression_BE: Tensor
    """PD-FGC calls it emotion; 30 values, the expression code that the Connector edits."""


class MotionNetwork(nn.Module):
    """One trunk with a head per kind of motion."""

    def __init__(self) -> None:
        """Draw initial weights; names and their order are those of the published state dict."""
        super().__init__()
        self.model = FaceTrunk()
        self.to_mouth = head()
        self.mouth_embed = embedding(MOUTH_WIDTH)
        self.to_headpose = head()
        self.headpose_embed = embedding(POSE_WIDTH)
        self.to_eye = head()
        self.eye_embed = embedding(EYE_WIDTH)
        self.to_emo = head()
        self.emo_embed = embedding(EXPRESSION_WIDTH)

    def forward(self, pictures_BCPP: Tensor) -> MotionCodes:
        """Motion of pictures (B, 3, 224, 224) in [-1, 1], read in one pass."""
        features_BF = self.model(pictures_BCPP)
        return MotionCodes(
            self.headpose_embed(self.to_headpose(features_BF)),
            self.eye_embed(self.to_eye(features_BF)),
            self.emo_embed(self.to_emo(features_BF)),
        )

    def mouth(self, pictures_BCPP: Tensor) -> Tensor:
        """Mouth feature of pictures, shape (B, 512); the published pipeline takes the mouth from speech instead."""
        return self.to_mouth(self.model(pictures_BCPP))


def head() -> nn.Sequential:
    """Features of one kind of motion, (B, F) to (B, F)."""
    return nn.Sequential(
        nn.Linear(NUM_FEATURES, NUM_FEATURES),
        nn.ReLU(),
        nn.BatchNorm1d(NUM_FEATURES),
        nn.Linear(NUM_FEATURES, NUM_FEATURES),
    )


def embedding(width: int) -> nn.Sequential:
    """Values of one kind of motion, (B, F) to (B, width)."""
    return nn.Sequential(nn.ReLU(), nn.Linear(NUM_FEATURES, width))


class FaceTrunk(nn.Module):
    """From pictures to features, through 68 maps of a quarter of the size."""

    def __init__(self) -> None:
        """Make all layers, for pictures of 224 pixels."""
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3)
        self.bn1 = nn.BatchNorm2d(64)
        self.conv2 = ConvBlock(64, 128)
        self.conv3 = ConvBlock(128, 128)
        self.conv4 = ConvBlock(128, 256)
        self.m0 = Hourglass(HOURGLASS_DEPTH, 256)
        self.top_m_0 = ConvBlock(256, 256)
        self.conv_last0 = nn.Conv2d(256, 256, 1)
        self.l0 = nn.Conv2d(256, NUM_LANDMARK_MAPS, 1)
        self.bn_end0 = nn.BatchNorm2d(256)
        self.conv6 = nn.Conv2d(NUM_LANDMARK_MAPS, 1, 3, 2, 1)
        self.fc = nn.Linear(28 * 28, NUM_FEATURES)
        self.bn5 = nn.BatchNorm2d(NUM_LANDMARK_MAPS)

    def forward(self, pictures_BCPP: Tensor) -> Tensor:
        """Features, shape (B, 512)."""
        maps = self.conv2(torch.relu(self.bn1(self.conv1(pictures_BCPP))))
        maps = self.conv4(self.conv3(functional.max_pool2d(maps, 2)))
        maps = self.top_m_0(self.m0(maps))
        maps = torch.relu(self.bn_end0(self.conv_last0(maps)))
        maps = torch.relu(self.bn5(self.l0(maps)))
        return self.fc(torch.relu(self.conv6(maps).flatten(1)))


class Hourglass(nn.Module):
    """Down by halves and up again, with a side branch at each size; level 1 is the smallest."""

    def __init__(self, depth: int, channels: int) -> None:
        """Make the blocks of all levels."""
        super().__init__()
        self.depth = depth
        self.dropout = nn.Dropout(0.5)
        for level in range(depth, 0, -1):
            self.add_module(f"b1_{level}", ConvBlock(channels, channels))
            self.add_module(f"b2_{level}", ConvBlock(channels, channels))
        self.b2_plus_1 = ConvBlock(channels, channels)
        for level in range(1, depth + 1):
            self.add_module(f"b3_{level}", ConvBlock(channels, channels))

    def forward(self, maps: Tensor) -> Tensor:
        """Maps of the same shape."""
        return self._level(self.depth, maps)

    def _level(self, level: int, maps: Tensor) -> Tensor:
        side = self.dropout(self.get_submodule(f"b1_{level}")(maps))
        low = self.get_submodule(f"b2_{level}")(functional.max_pool2d(maps, 2))
        low = self._level(level - 1, low) if level > 1 else self.b2_plus_1(low)
        low = self.get_submodule(f"b3_{level}")(low)
        # a size and not a factor: 7 halves to 3
        return side + functional.interpolate(low, side.shape[-2:], mode="bilinear", align_corners=False)


class ConvBlock(nn.Module):
    """Three convolutions in a row, their outputs (a half, a quarter, a quarter of the channels) joined and added."""

    def __init__(self, num_in: int, num_out: int) -> None:
        """Norm and ReLU come before each convolution."""
        super().__init__()
        half, quarter = num_out // 2, num_out // 4
        self.bn1 = nn.BatchNorm2d(num_in)
        self.conv1 = nn.Conv2d(num_in, half, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv2 = nn.Conv2d(half, quarter, 3, 1, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(quarter)
        self.conv3 = nn.Conv2d(quarter, quarter, 3, 1, 1, bias=False)
        self.downsample = (
            nn.Sequential(nn.BatchNorm2d(num_in), nn.ReLU(), nn.Conv2d(num_in, num_out, 1, bias=False))
            if num_in != num_out
            else None
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, num_in, P, P) to (B, num_out, P, P)."""
        first = self.conv1(torch.relu(self.bn1(maps)))
        second = self.conv2(torch.relu(self.bn2(first)))
        third = self.conv3(torch.relu(self.bn3(second)))
        return torch.cat([first, second, third], 1) + (maps if self.downsample is None else self.downsample(maps))
