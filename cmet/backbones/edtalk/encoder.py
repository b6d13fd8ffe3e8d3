"""From a picture to a latent and to feature maps.

Legend: B batch, C channels, H rows, W columns, S latent width (512).

Source: EDTalk's `networks/encoder.py` in ChanHyeok-Choi/C-MET at bd384ac.
"""

from torch import Tensor, nn

from cmet.backbones.edtalk.layers import GAIN, STYLE_WIDTH, Blur, EqualConv, FusedActivation

WIDTHS = (64, 128, 256, 512, 512, 512, 512)
"""Channels at 256, 128, ... 4 pixels."""


class ResidualBlock(nn.Module):
    """Halves the size."""

    def __init__(self, num_in: int, num_out: int) -> None:
        """Names are those of the published state dict."""
        super().__init__()
        self.conv1 = nn.Sequential(EqualConv(num_in, num_in, 3, padding=1), FusedActivation(num_in))
        self.conv2 = nn.Sequential(Blur(padding=2), EqualConv(num_in, num_out, 3, stride=2), FusedActivation(num_out))
        # the published 1x1 convolution has the stride; only what it reads is blurred here
        self.skip = nn.Sequential(Blur(padding=1, stride=2), EqualConv(num_in, num_out, 1))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Map (B, num_in, H, W) to (B, num_out, H/2, W/2)."""
        return (self.conv2(self.conv1(x_BCHW)) + self.skip(x_BCHW)) / GAIN


class AppearanceNet(nn.Module):
    """Convolutions from 256 pixels down to one."""

    def __init__(self) -> None:
        """One layer at full size, a block per halving, one layer from 4 pixels to the latent."""
        super().__init__()
        first = nn.Sequential(EqualConv(3, WIDTHS[0], 1), FusedActivation(WIDTHS[0]))
        blocks = (ResidualBlock(*widths) for widths in zip(WIDTHS, WIDTHS[1:], strict=False))
        self.convs = nn.Sequential(first, *blocks, EqualConv(WIDTHS[-1], STYLE_WIDTH, 4))


class Encoder(nn.Module):
    """Latent and feature maps of a picture."""

    def __init__(self) -> None:
        """Names are those of the published state dict."""
        super().__init__()
        self.net_app = AppearanceNet()

    def forward(self, pictures_B3HW: Tensor) -> Tensor:
        """Latents, shape (B, S), of pictures of 256x256 in [-1, 1]."""
        return self.net_app.convs(pictures_B3HW).flatten(1)

    def with_features(self, pictures_B3HW: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Latents, and the maps of 8x8, 16x16, ... 256x256 pixels."""
        maps = [pictures_B3HW]
        for layer in self.net_app.convs:
            maps.append(layer(maps[-1]))
        *features, _, latent = maps[1:]  # the map of 4x4 is not handed on
        return latent.flatten(1), features[::-1]
