"""A residual network that describes a face in 128 numbers; those of two pictures of one person lie near each other.

Legend: N faces, C channels, P pixels of a side, D width of a descriptor (128).

Source: `FaceRecognitionNet` of the npm package `@vladmandic/face-api`; see `faceapi_model/README.md`.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from cmet.scores.metrics.faceapi_weights import centred, faceapi_weights

SIZE_PX = 150
NUM_FEATURES = 128

BLOCKS = (
    ("conv32_1", 32, 1), ("conv32_2", 32, 1), ("conv32_3", 32, 1),
    ("conv64_down", 64, 2), ("conv64_1", 64, 1), ("conv64_2", 64, 1), ("conv64_3", 64, 1),
    ("conv128_down", 128, 2), ("conv128_1", 128, 1), ("conv128_2", 128, 1),
    ("conv256_down", 256, 2), ("conv256_1", 256, 1), ("conv256_2", 256, 1), ("conv256_down_out", 256, 2),
)  # fmt: skip
"""Name, channels and stride of each, as published."""


class DescriptorNetwork(nn.Module):
    """Fourteen blocks of two convolutions beside a shortcut."""

    def __init__(self) -> None:
        """Draw initial weights."""
        super().__init__()
        self.conv32_down = _ScaledConv(3, 32, 7, stride=2)
        num_in = 32
        for name, num_out, stride in BLOCKS:
            self.add_module(name, _ResidualBlock(num_in, num_out, stride))
            num_in = num_out
        self.fc = nn.Linear(num_in, NUM_FEATURES, bias=False)

    @classmethod
    def published(cls) -> "DescriptorNetwork":
        """The network with the published weights, ready to be asked."""
        network = cls()
        network.load_state_dict(faceapi_weights("descriptor"))
        return network.eval()

    def forward(self, faces_N3PP: Tensor) -> Tensor:
        """Descriptors, shape (N, D), of any length.

        Args:
            faces_N3PP: RGB from 0 to 255.
        """
        maps = functional.max_pool2d(functional.relu(self.conv32_down(centred(faces_N3PP))), 3, 2)
        for name, *_ in BLOCKS:
            maps = self.get_submodule(name)(maps)
        return self.fc(maps.mean(dim=(2, 3)))


class _ScaledConv(nn.Module):
    """A convolution, then a factor and a shift for each channel."""

    def __init__(self, num_in: int, num_out: int, size: int, stride: int = 1, margin: int = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(num_in, num_out, size, stride, margin)
        self.weights, self.biases = nn.Parameter(torch.ones(num_out)), nn.Parameter(torch.zeros(num_out))

    def forward(self, maps_NCPP: Tensor) -> Tensor:
        return self.conv(maps_NCPP) * self.weights[:, None, None] + self.biases[:, None, None]


class _ResidualBlock(nn.Module):
    def __init__(self, num_in: int, num_out: int, stride: int) -> None:
        super().__init__()
        self.is_down = stride > 1
        self.conv1 = _ScaledConv(num_in, num_out, 3, stride, 0 if self.is_down else 1)
        self.conv2 = _ScaledConv(num_out, num_out, 3, margin=1)

    def forward(self, maps_NCPP: Tensor) -> Tensor:
        found = self.conv2(functional.relu(self.conv1(maps_NCPP)))
        if not self.is_down:
            return functional.relu(found + maps_NCPP)
        shortcut = functional.avg_pool2d(maps_NCPP, 2)
        # without a margin convolutions lose a row and a column of an even side; new channels have no shortcut
        lost = shortcut.shape[-1] - found.shape[-1]
        num_new = found.shape[1] - shortcut.shape[1]
        return functional.relu(
            functional.pad(found, (0, lost, 0, lost)) + functional.pad(shortcut, (0, 0, 0, 0, 0, num_new))
        )
