"""A small network of seven emotions, trained by others on pictures of real faces, 112 pixels wide.

Legend: N pictures, C channels, P pixels of a side.

Source: `FaceExpressionNet` of the npm package `@vladmandic/face-api`; see `faceapi_model/README.md`.
"""

from torch import Tensor, nn
from torch.nn import functional

from cmet.scores.metrics.faceapi_weights import centred, faceapi_weights

SIZE_PX = 112
CLASSES = ("neutral", "happy", "sad", "angry", "fear", "disgusted", "surprised")
"""Emotions in the order of the logits; contempt is not among them."""


class ExpressionNetwork(nn.Module):
    """Four blocks of separable convolutions, each of which halves the maps."""

    def __init__(self) -> None:
        """Draw initial weights."""
        super().__init__()
        blocks = [_DenseBlock(3, 32, is_first=True), *(_DenseBlock(num, 2 * num) for num in (32, 64, 128))]
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(256, len(CLASSES))

    @classmethod
    def published(cls) -> "ExpressionNetwork":
        """The network with the published weights, ready to be asked."""
        network = cls()
        network.load_state_dict(faceapi_weights("expression"))
        return network.eval()

    def forward(self, pictures_N3PP: Tensor) -> Tensor:
        """Logits, shape (N, 7).

        Args:
            pictures_N3PP: RGB from 0 to 255.
        """
        return self.head(self.blocks(centred(pictures_N3PP)).mean(dim=(2, 3)))


class _DenseBlock(nn.Module):
    """Four convolutions, each after the first given the sum of what came before it."""

    def __init__(self, num_in: int, num_out: int, *, is_first: bool = False) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(num_in, num_out, 3, stride=2) if is_first else _SeparableConv(num_in, num_out, stride=2)
        self.conv1, self.conv2, self.conv3 = (_SeparableConv(num_out, num_out) for _ in range(3))

    def forward(self, maps_NCPP: Tensor) -> Tensor:
        # TensorFlow's margin of an even side that is halved: behind the last pixel only
        total = functional.relu(self.conv0(functional.pad(maps_NCPP, (0, 1, 0, 1))))
        found = total
        for convolution in (self.conv1, self.conv2, self.conv3):
            total = total + convolution(found)
            found = functional.relu(total)
        return found


class _SeparableConv(nn.Sequential):
    """Each channel by itself, then all of a pixel together."""

    def __init__(self, num_in: int, num_out: int, stride: int = 1) -> None:
        super().__init__()
        margin = 1 if stride == 1 else 0
        self.depthwise = nn.Conv2d(num_in, num_in, 3, stride, margin, groups=num_in, bias=False)
        self.pointwise = nn.Conv2d(num_in, num_out, 1)
