"""The paper's judge: Emotion-FAN's ResNet-18 without its attention over frames.

Legend: B frames, P side of a frame in pixels (224), L labels (7).

Source: Open-Debin/Emotion-FAN at 874e871. The paper judges with a plain ResNet-18 that starts from Emotion-FAN's
`Resnet18_FER+_pytorch.pth.tar`. No trained attention network is published.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

NUM_FEATURES = 512
NUM_LABELS = 7
LAYERS = ((64, 1), (128, 2), (256, 2), (512, 2))
"""Channels and stride of the first block; every stage has two blocks."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


class ResNet18(nn.Module):
    """The trunk, in the layout of torchvision, without a classifier."""

    def __init__(self) -> None:
        """Make the stem and four stages."""
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        num_in = 64
        for number, (channels, stride) in enumerate(LAYERS, 1):
            blocks = BasicBlock(num_in, channels, stride), BasicBlock(channels, channels, 1)
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
            num_in = channels

    def features(self, frames_B3PP: Tensor) -> Tensor:
        """Features of each frame, shape (B, 512)."""
        maps = functional.max_pool2d(torch.relu(self.bn1(self.conv1(frames_B3PP))), 3, 2, 1)
        for number in range(1, len(LAYERS) + 1):
            maps = self.get_submodule(f"layer{number}")(maps)
        return maps.mean((2, 3))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut."""

    def __init__(self, num_in: int, num_out: int, stride: int) -> None:
        """Map num_in channels to num_out."""
        super().__init__()
        self.conv1 = nn.Conv2d(num_in, num_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(num_out)
        self.conv2 = nn.Conv2d(num_out, num_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(num_out)
        self.downsample = (
            nn.Sequential(nn.Conv2d(num_in, num_out, 1, stride, bias=False), nn.BatchNorm2d(num_out))
            if num_in != num_out or stride > 1
            else None
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, num_in, P, P) to (B, num_out, P / stride, P / stride)."""
        out = torch.relu(self.bn1(self.conv1(maps)))
        out = self.bn2(self.conv2(out))
        return torch.relu(out + (maps if self.downsample is None else self.downsample(maps)))


class PlainJudge(ResNet18):
    """The paper's judge: every frame is classified, and a clip by the mean of the logits of its frames.

    Source: emotion-fan.py and emotion_finetune.py among the evaluation scripts of C-MET.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, num_labels: int = NUM_LABELS) -> None:
        """Draw initial weights."""
        super().__init__()
        self.fc = nn.Linear(NUM_FEATURES, num_labels)
        for name, colours in (("mean", IMAGENET_MEAN), ("deviation", IMAGENET_DEVIATION)):
            self.register_buffer(name, torch.tensor(colours).reshape(3, 1, 1), persistent=False)

    def forward(self, frames_B3PP: Tensor) -> Tensor:
        """Logits of each frame, shape (B, L); frames are RGB in [0, 1] and brought to ImageNet's colours here."""
        return self.fc(self.features((frames_B3PP - self.mean) / self.deviation))
