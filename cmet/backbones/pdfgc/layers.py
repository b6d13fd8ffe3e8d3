"""Layers of StyleGAN2 in plain torch operations: scaled linear, modulated convolution, noise, blur.

Legend: B pictures, C channels, O output channels, P side of a map in pixels, Y style width.

Source: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN"; names as in PD-FGC's
`generator_model.pth`. The published code makes one kernel per picture. Here the input is scaled by the style and the
output by the norm of the styled kernel, which is the same number, so that a batch shares one kernel.
"""

import math
import zlib

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cmet.backbones.published.loading import unit_normal

NEGATIVE_SLOPE = 0.2
TAPS = (1.0, 3.0, 3.0, 1.0)
"""One row of the blur; symmetric, so correlation and convolution agree."""


class ScaledLinear(nn.Module):
    """A linear layer whose stored weights are unit normal; they are scaled when used."""

    def __init__(self, num_in: int, num_out: int, bias: float = 0.0) -> None:
        """Start with unit normal weights and a constant bias."""
        super().__init__()
        self.weight = nn.Parameter(unit_normal(num_out, num_in))
        self.bias = nn.Parameter(torch.full((num_out,), bias))
        self.scale = 1 / math.sqrt(num_in)

    def forward(self, values: Tensor) -> Tensor:
        """Map (B, num_in) to (B, num_out)."""
        return functional.linear(values * self.scale, self.weight, self.bias)


class ModulatedConv(nn.Module):
    """A convolution whose kernel is scaled by a style, per input channel."""

    def __init__(
        self, num_in: int, num_out: int, kernel: int, style_width: int, doubles: bool = False, demodulates: bool = True
    ) -> None:
        """Choose the form.

        Args:
            num_in: Input channels.
            num_out: Output channels.
            kernel: Side of the kernel in pixels.
            style_width: Y.
            doubles: Whether the output has twice the side.
            demodulates: Whether the styled kernel is brought back to norm 1, per output channel.
        """
        super().__init__()
        self.weight = nn.Parameter(unit_normal(1, num_out, num_in, kernel, kernel))
        self.blur = Blur() if doubles else None
        self.modulation = ScaledLinear(style_width, num_in, bias=1.0)
        self.scale = 1 / math.sqrt(num_in * kernel**2)
        self.padding = kernel // 2
        self.demodulates = demodulates

    def forward(self, maps_BCPP: Tensor, style_BY: Tensor) -> Tensor:
        """Map (B, num_in, P, P) to (B, num_out, P, P) or (B, num_out, 2P, 2P)."""
        kernel_OCKK = self.weight[0]
        factor_BC = self.modulation(style_BY) * self.scale
        styled_BCPP = maps_BCPP * factor_BC[:, :, None, None]
        if self.blur is None:
            out = functional.conv2d(styled_BCPP, kernel_OCKK, padding=self.padding)
        else:
            out = self.blur(functional.conv_transpose2d(styled_BCPP, kernel_OCKK.transpose(0, 1), stride=2))
        if not self.demodulates:
            return out
        energy_OC = kernel_OCKK.square().sum((2, 3))
        norm_BO = torch.rsqrt(functional.linear(factor_BC.square(), energy_OC) + 1e-8)
        return out * norm_BO[:, :, None, None]


def blur_kernel() -> Tensor:
    """The 4x4 kernel for maps of doubled side, shape (4, 4), sum 4: three of four pixels are new."""
    kernel = np.outer(TAPS, TAPS)
    return torch.tensor(4 * kernel / kernel.sum(), dtype=torch.float32)


class Blur(nn.Module):
    """Smooths what a transposed convolution has left, and takes off its one pixel too many."""

    kernel: Tensor

    def __init__(self) -> None:
        """Keep the kernel as the published file does."""
        super().__init__()
        self.register_buffer("kernel", blur_kernel())

    def forward(self, maps_BCPP: Tensor) -> Tensor:
        """Map (B, C, P + 1, P + 1) to (B, C, P, P)."""
        channels = maps_BCPP.shape[1]
        return functional.conv2d(maps_BCPP, self.kernel.expand(channels, 1, 4, 4), padding=1, groups=channels)


class Doubling(nn.Module):
    """A picture at twice the side."""

    kernel: Tensor

    def __init__(self) -> None:
        """Keep the kernel as the published file does."""
        super().__init__()
        self.register_buffer("kernel", blur_kernel())

    def forward(self, picture_BCPP: Tensor) -> Tensor:
        """Map (B, C, P, P) to (B, C, 2P, 2P)."""
        channels = picture_BCPP.shape[1]
        kernel = self.kernel.expand(channels, 1, 4, 4)
        return functional.conv_transpose2d(picture_BCPP, kernel, stride=2, padding=1, groups=channels)


class Noise(nn.Module):
    """One fixed field of noise, added to every channel with a learned strength."""

    field: Tensor

    def __init__(self, path: str, side_px: int) -> None:
        """Draw the field that belongs to this place of the network."""
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.register_buffer("field", noise_field(path, side_px), persistent=False)

    def forward(self, maps_BCPP: Tensor) -> Tensor:
        """Maps of the same shape."""
        return maps_BCPP + self.weight * self.field


def noise_field(path: str, side_px: int) -> Tensor:
    """Unit normal noise, shape (1, 1, P, P), the same on every machine.

    Differs from the published code, which draws a field at the first picture of a process and keeps it: two runs give
    two videos there.
    """
    generator = np.random.default_rng([zlib.crc32(f"input:noise:{path}".encode()), 0])
    return torch.from_numpy(generator.standard_normal((1, 1, side_px, side_px)).astype(np.float32))


class BiasedActivation(nn.Module):
    """Leaky ReLU of the input plus a bias per channel, times the root of 2."""

    def __init__(self, channels: int) -> None:
        """Start with a bias of zero."""
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, maps_BCPP: Tensor) -> Tensor:
        """Maps of the same shape."""
        # the root goes inside, where it costs no pass of its own over the maps
        biased_BCPP = torch.add(self.bias * math.sqrt(2), maps_BCPP, alpha=math.sqrt(2))
        return functional.leaky_relu(biased_BCPP, NEGATIVE_SLOPE, inplace=True)
