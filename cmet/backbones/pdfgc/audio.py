"""PD-FGC's audio network: the mouth, from a fifth of a second of speech.

Legend: B windows, C channels, M mel bands (80, halved by the stages to 10), T steps in time (20, halved to 3),
A audio values (512).

Source: Dorniwang/PD-FGC-inference at d3c1488, the network behind `audio_model.pth`.
"""

import torch
from torch import Tensor, nn

from cmet.backbones.pdfgc.motion import MOUTH_WIDTH

AUDIO_WIDTH = 512
NUM_BANDS = 80
LAYERS = ((32, 3, 1), (64, 4, 2), (128, 6, 2), (256, 3, 2))
"""Channels, number of blocks, stride of the first one."""
ATTENTION_WIDTH = 128
SQUEEZE_RATIO = 8


class AudioNetwork(nn.Module):
    """Speech features, and the mouth that goes with them."""

    def __init__(self) -> None:
        """Draw initial weights; names and their order are those of the published state dict."""
        super().__init__()
        self.model = SpeechTrunk()
        self.mouth_embed = nn.Sequential(nn.ReLU(), nn.Linear(AUDIO_WIDTH, MOUTH_WIDTH))

    def forward(self, windows_B1MT: Tensor) -> Tensor:
        """Mouth values, shape (B, 500), of spectrogram windows (B, 1, 80, 20) in [0, 1]."""
        return self.mouth_embed(self.model(windows_B1MT))


class SpeechTrunk(nn.Module):
    """A residual network whose steps in time are pooled by attention."""

    def __init__(self) -> None:
        """Make the stem, four stages and the pooling."""
        super().__init__()
        self.conv1 = nn.Conv2d(1, LAYERS[0][0], 3, 1, 1)
        self.bn1 = nn.BatchNorm2d(LAYERS[0][0])
        num_in = LAYERS[0][0]
        for number, (channels, num_blocks, stride) in enumerate(LAYERS, 1):
            blocks = [
                AudioBlock(num_in if i == 0 else channels, channels, stride if i == 0 else 1) for i in range(num_blocks)
            ]
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
            num_in = channels
        pooled = num_in * NUM_BANDS // 8
        self.attention = nn.Sequential(
            nn.Conv1d(pooled, ATTENTION_WIDTH, 1),
            nn.ReLU(),
            nn.BatchNorm1d(ATTENTION_WIDTH),
            nn.Conv1d(ATTENTION_WIDTH, pooled, 1),
            nn.Softmax(dim=2),
        )
        self.fc = nn.Linear(pooled, AUDIO_WIDTH)

    def forward(self, windows_B1MT: Tensor) -> Tensor:
        """Audio values, shape (B, 512)."""
        # here and in the blocks the norm comes after the ReLU: the published weights rely on it
        maps_BCMT = self.bn1(torch.relu(self.conv1(windows_B1MT)))
        for number in range(1, len(LAYERS) + 1):
            maps_BCMT = self.get_submodule(f"layer{number}")(maps_BCMT)
        steps_BCT = maps_BCMT.flatten(1, 2)
        return self.fc((steps_BCT * self.attention(steps_BCT)).sum(2))


class AudioBlock(nn.Module):
    """Two 3x3 convolutions, channels weighed by squeeze and excitation, around a shortcut."""

    def __init__(self, num_in: int, num_out: int, stride: int) -> None:
        """Map num_in channels to num_out."""
        super().__init__()
        self.conv1 = nn.Conv2d(num_in, num_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(num_out)
        self.conv2 = nn.Conv2d(num_out, num_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(num_out)
        self.se = SqueezeExcitation(num_out)
        self.downsample = (
            nn.Sequential(nn.Conv2d(num_in, num_out, 1, stride, bias=False), nn.BatchNorm2d(num_out))
            if num_in != num_out or stride > 1
            else None
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, num_in, M, T) to (B, num_out, M / stride, T / stride)."""
        out = self.bn1(torch.relu(self.conv1(maps)))
        out = self.se(self.bn2(self.conv2(out)))
        return torch.relu(out + (maps if self.downsample is None else self.downsample(maps)))


class SqueezeExcitation(nn.Module):
    """A weight in (0, 1) per channel, from the means of all channels."""

    def __init__(self, channels: int) -> None:
        """Two linear layers with a bottleneck."""
        super().__init__()
        inner = channels // SQUEEZE_RATIO
        self.fc = nn.Sequential(nn.Linear(channels, inner), nn.ReLU(), nn.Linear(inner, channels), nn.Sigmoid())

    def forward(self, maps_BCMT: Tensor) -> Tensor:
        """Weighed maps of the same shape."""
        return maps_BCMT * self.fc(maps_BCMT.mean((2, 3)))[:, :, None, None]
