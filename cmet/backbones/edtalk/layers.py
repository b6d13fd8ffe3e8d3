"""Layers in the manner of StyleGAN2: weights are unit normals, divided by the root of the fan-in before use.

They are for inference: scaled kernels are kept from the first call on, so weights are loaded and moved before it.
Kernels have their channels last in memory and so have the maps: on a CPU a transposed convolution is then several times
faster.

Legend: B batch, C channels, H rows, W columns, I and O features in and out, S style width.

Source: EDTalk's `networks/styledecoder.py` and `networks/encoder.py` in ChanHyeok-Choi/C-MET at bd384ac, which take
them from StyleGAN2. Its CUDA operators are written out in torch here.
"""

import math
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cmet.backbones.published.loading import unit_normal

STYLE_WIDTH = 512
NEGATIVE_SLOPE = 0.2
GAIN = math.sqrt(2.0)
"""What a fused activation multiplies by, and a residual block divides by."""


def channels_last(x: Tensor) -> Tensor:
    """The same four axes in the order in memory that the convolutions are fastest with."""
    return x.contiguous(memory_format=torch.channels_last)


def scale_kernels(network: nn.Module) -> None:
    """Compute what its layers keep, instead of at their first call."""
    for layer in network.modules():
        for name, attribute in vars(type(layer)).items():
            if isinstance(attribute, cached_property):
                getattr(layer, name)


class EqualLinear(nn.Module):
    """Linear layer with scaled weights."""

    def __init__(self, num_in: int, num_out: int, first_bias: float = 0.0) -> None:
        """Draw unit normal weights."""
        super().__init__()
        self.weight = nn.Parameter(unit_normal(num_out, num_in))
        self.bias = nn.Parameter(torch.full((num_out,), first_bias))

    @property
    def scaled_weight_OI(self) -> Tensor:
        """The matrix the layer multiplies by."""
        return self.weight / math.sqrt(self.weight.shape[1])

    def forward(self, features_BI: Tensor) -> Tensor:
        """Map (B, I) to (B, O)."""
        return functional.linear(features_BI, self.scaled_weight_OI, self.bias)


class EqualConv(nn.Module):
    """Convolution with scaled weights and no bias."""

    def __init__(self, num_in: int, num_out: int, kernel: int, stride: int = 1, padding: int = 0) -> None:
        """Draw unit normal weights."""
        super().__init__()
        self.weight = nn.Parameter(unit_normal(num_out, num_in, kernel, kernel))
        self.stride, self.padding = stride, padding

    @cached_property
    def kernel_OIkk(self) -> Tensor:
        """Scaled weights."""
        return channels_last(self.weight / math.sqrt(self.weight[0].numel()))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Convolve."""
        return functional.conv2d(x_BCHW, self.kernel_OIkk, stride=self.stride, padding=self.padding)


class FusedActivation(nn.Module):
    """Leaky ReLU of the input plus a bias per channel, times the root of 2."""

    def __init__(self, num_channels: int) -> None:
        """Begin with no bias."""
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, num_channels, 1, 1))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Activate."""
        # a positive factor passes through the leaky ReLU, so it goes into the sum
        return functional.leaky_relu_(torch.add(self.bias * GAIN, x_BCHW, alpha=GAIN), NEGATIVE_SLOPE)

    def of_product(self, x_BCHW: Tensor, scale_BC11: Tensor) -> Tensor:
        """Activate the input times a scale per channel."""
        return functional.leaky_relu_(torch.addcmul(self.bias * GAIN, x_BCHW, scale_BC11 * GAIN), NEGATIVE_SLOPE)


def binomial_kernel(gain: float) -> Tensor:
    """Outer product of [1, 3, 3, 1] with itself, shape (4, 4), sum `gain`."""
    taps = np.array([1, 3, 3, 1], np.float32)
    kernel = np.outer(taps, taps)
    return torch.tensor(kernel * (gain / kernel.sum()))


class Blur(nn.Module):
    """The binomial filter on every channel."""

    kernel: Tensor

    def __init__(self, padding: int, stride: int = 1, gain: float = 1.0) -> None:
        """Pad with zeros on all sides."""
        super().__init__()
        self.register_buffer("kernel", binomial_kernel(gain))
        self.padding, self.stride = padding, stride

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Filter."""
        num_channels = x_BCHW.shape[1]
        kernels = self.kernel.expand(num_channels, 1, -1, -1)
        return functional.conv2d(x_BCHW, kernels, None, self.stride, self.padding, groups=num_channels)


class Upsample(nn.Module):
    """Twice the rows and columns: zeros in between, then the binomial filter."""

    kernel: Tensor

    def __init__(self) -> None:
        """Keep the brightness: three of four pixels are zeros before the filter."""
        super().__init__()
        self.register_buffer("kernel", binomial_kernel(gain=4.0))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, 2H, 2W)."""
        num_channels = x_BCHW.shape[1]
        kernels = self.kernel.expand(num_channels, 1, -1, -1)
        # flows and pictures, never the wide maps: they stay exact
        with torch.autocast(x_BCHW.device.type, enabled=False):
            return functional.conv_transpose2d(x_BCHW, kernels, None, stride=2, padding=1, groups=num_channels)


class ModulatedConv(nn.Module):
    """3x3 convolution whose input channels the style scales; demodulated, so that the outputs keep their variance.

    The published layer makes one kernel per sample and convolves in groups. Scaling the input and the output instead
    is the same sum with one kernel for the whole batch.
    """

    def __init__(self, num_in: int, num_out: int, upsamples: bool = False) -> None:
        """Draw unit normal weights; modulation begins at one."""
        super().__init__()
        self.weight = nn.Parameter(unit_normal(1, num_out, num_in, 3, 3))
        self.blur = Blur(padding=1, gain=4.0) if upsamples else None
        self.modulation = EqualLinear(STYLE_WIDTH, num_in, first_bias=1.0)

    @cached_property
    def kernel(self) -> Tensor:
        """Scaled weights, shape (O, I, 3, 3), or (I, O, 3, 3) of an upsampling layer."""
        kernel_OI33 = self.weight[0] / math.sqrt(self.weight[0, 0].numel())
        return channels_last(kernel_OI33 if self.blur is None else kernel_OI33.transpose(0, 1))

    @cached_property
    def energy_OI(self) -> Tensor:
        """Sum of squares over the taps."""
        return self.weight[0].square().sum((2, 3)) / self.weight[0, 0].numel()

    def forward(self, x_BCHW: Tensor, style_BS: Tensor) -> tuple[Tensor, Tensor]:
        """Convolve; an upsampling layer doubles rows and columns.

        Returns:
            The outputs, shape (B, O, H, W), and the factors that demodulate them, shape (B, O, 1, 1).
        """
        scale_BI = self.modulation(style_BS)
        factor_BO = torch.rsqrt(functional.linear(scale_BI.square(), self.energy_OI) + 1e-8)
        x_BCHW = x_BCHW * scale_BI[:, :, None, None]
        if self.blur is None:
            x_BCHW = functional.conv2d(x_BCHW, self.kernel, padding=1)
        else:
            x_BCHW = self.blur(functional.conv_transpose2d(x_BCHW, self.kernel, stride=2))
        return x_BCHW, factor_BO[:, :, None, None]


class ModulatedPointwise(nn.Module):
    """1x1 convolution whose input channels the style scales, not demodulated."""

    def __init__(self, num_in: int, num_out: int) -> None:
        """Draw unit normal weights; modulation begins at one."""
        super().__init__()
        self.weight = nn.Parameter(unit_normal(1, num_out, num_in, 1, 1))
        self.modulation = EqualLinear(STYLE_WIDTH, num_in, first_bias=1.0)

    def forward(self, x_BCHW: Tensor, style_BS: Tensor) -> Tensor:
        """Convolve."""
        matrix_OI = self.weight[0, :, :, 0, 0] / math.sqrt(self.weight.shape[2])
        matrix_BIO = (matrix_OI * self.modulation(style_BS)[:, None]).transpose(1, 2)
        x_BHWC = x_BCHW.permute(0, 2, 3, 1)
        return torch.bmm(x_BHWC.flatten(1, 2), matrix_BIO).unflatten(1, x_BHWC.shape[1:3]).permute(0, 3, 1, 2)


class UnusedNoise(nn.Module):
    """Strength of a noise the published renderer never gives; its tensor only loads."""

    def __init__(self) -> None:
        """Begin without noise."""
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))


class StyleLayer(nn.Module):
    """Modulated convolution and fused activation."""

    def __init__(self, num_in: int, num_out: int, upsamples: bool = False) -> None:
        """Names are those of the published state dict."""
        super().__init__()
        self.conv = ModulatedConv(num_in, num_out, upsamples)
        self.noise = UnusedNoise()
        self.activate = FusedActivation(num_out)

    def forward(self, x_BCHW: Tensor, style_BS: Tensor) -> Tensor:
        """Convolve and activate."""
        return self.activate.of_product(*self.conv(x_BCHW, style_BS))
