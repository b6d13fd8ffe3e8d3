"""ArcFace: an embedding of a face in which pictures of one person lie near each other.

Legend: B faces, C channels, H rows, W columns, D width of the embedding (512).

Source: deepinsight/insightface, recognition/arcface_torch/backbones/iresnet.py (iresnet50).
"""

from pathlib import Path

from torch import Tensor, nn

from cmet.weights.identify import load_weights

SIZE_PX = 112
NUM_FEATURES = 512
LAYERS = ((64, 3), (128, 4), (256, 14), (512, 3))
"""Channels and blocks; the first block of every stage halves the picture."""


class ArcFace(nn.Module):
    """A residual network of fifty layers. Names are those of the published state dict."""

    def __init__(self) -> None:
        """Draw initial weights."""
        super().__init__()
        num_in = LAYERS[0][0]
        self.conv1 = nn.Conv2d(3, num_in, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(num_in)
        self.prelu = nn.PReLU(num_in)
        for number, (channels, num_blocks) in enumerate(LAYERS, 1):
            blocks = [
                ArcFaceBlock(num_in, channels, 2),
                *(ArcFaceBlock(channels, channels, 1) for _ in range(num_blocks - 1)),
            ]
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
            num_in = channels
        side = SIZE_PX // 2 ** len(LAYERS)
        self.bn2 = nn.BatchNorm2d(num_in)
        self.fc = nn.Linear(num_in * side * side, NUM_FEATURES)
        self.features = nn.BatchNorm1d(NUM_FEATURES)

    def forward(self, faces_B3HW: Tensor) -> Tensor:
        """Embeddings, shape (B, D), of any length.

        Args:
            faces_B3HW: Aligned faces of 112x112 pixels, RGB from -1 to 1.
        """
        maps = self.prelu(self.bn1(self.conv1(faces_B3HW)))
        for number in range(1, len(LAYERS) + 1):
            maps = self.get_submodule(f"layer{number}")(maps)
        return self.features(self.fc(self.bn2(maps).flatten(1)))


class ArcFaceBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut; the norm comes first, and nothing after the sum."""

    def __init__(self, num_in: int, num_out: int, stride: int) -> None:
        """Map num_in channels to num_out."""
        super().__init__()
        self.bn1 = nn.BatchNorm2d(num_in)
        self.conv1 = nn.Conv2d(num_in, num_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(num_out)
        self.prelu = nn.PReLU(num_out)
        self.conv2 = nn.Conv2d(num_out, num_out, 3, stride, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(num_out)
        self.downsample = (
            nn.Sequential(nn.Conv2d(num_in, num_out, 1, stride, bias=False), nn.BatchNorm2d(num_out))
            if num_in != num_out or stride > 1
            else None
        )

    def forward(self, maps_BCHW: Tensor) -> Tensor:
        """Map (B, num_in, H, W) to (B, num_out, H / stride, W / stride)."""
        out = self.prelu(self.bn2(self.conv1(self.bn1(maps_BCHW))))
        out = self.bn3(self.conv2(out))
        return out + (maps_BCHW if self.downsample is None else self.downsample(maps_BCHW))


def load_arcface(folder: Path | None = None) -> ArcFace:
    """The published network in eval mode.

    Args:
        folder: Where `backbone.pth` lies; the folder of all weights when None.

    Raises:
        UserError: The file is missing, cannot be read or is another checkpoint.
    """
    network = ArcFace()
    # not strict, for the counters of batch norm, which change nothing; that the rest is whole has been checked
    network.load_state_dict(load_weights("arcface", folder), strict=False)
    return network.eval().requires_grad_(False)
