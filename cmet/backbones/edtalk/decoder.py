"""From a latent, an expression and the feature maps of the source picture to a picture.

Legend: B batch, M 1 or B, C channels, H rows, W columns, S latent width (512).

Source: EDTalk's `networks/styledecoder.py` in ChanHyeok-Choi/C-MET at bd384ac.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from cmet.backbones.edtalk.layers import (
    STYLE_WIDTH,
    EqualConv,
    FusedActivation,
    ModulatedPointwise,
    StyleLayer,
    Upsample,
    channels_last,
)
from cmet.backbones.published.loading import unit_normal

FIRST_WIDTH, FIRST_SIZE = 512, 4
WIDTHS = (512, 512, 512, 256, 128, 64)
"""Channels at 8, 16, ... 256 pixels."""

SHARED_WIDTH = 128
"""Hidden width of the layers that turn an expression into scales and shifts."""


class SourceMap(NamedTuple):
    """One feature map of the source picture, and the part of its expression block that no expression changes."""

    feature_MCHW: Tensor
    detail_MCHW: Tensor
    """Convolved and normalised."""


class AdaptiveNorm(nn.Module):
    """Scale and shift of each channel from an expression."""

    def __init__(self, num_channels: int) -> None:
        """Names are those of the published state dict."""
        super().__init__()
        self.mlp_shared = nn.Sequential(nn.Linear(STYLE_WIDTH, SHARED_WIDTH), nn.ReLU())
        self.mlp_gamma = nn.Linear(SHARED_WIDTH, num_channels)
        self.mlp_beta = nn.Linear(SHARED_WIDTH, num_channels)

    def forward(self, expression_BS: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and shift, shapes (B, C, 1, 1)."""
        shared = self.mlp_shared(expression_BS)
        return 1 + self.mlp_gamma(shared)[:, :, None, None], self.mlp_beta(shared)[:, :, None, None]


class ExpressionBlock(nn.Module):
    """Adds the expression to a feature map.

    The published block evaluates conv1 and norm1 too and overwrites their result; here they only load.
    """

    def __init__(self, num_channels: int) -> None:
        """Names are those of the published state dict."""
        super().__init__()
        self.conv1 = nn.Conv2d(num_channels, num_channels, 3, padding=1)
        self.conv2 = nn.Conv2d(num_channels, num_channels, 3, padding=1)
        self.norm1 = AdaptiveNorm(num_channels)
        self.norm2 = AdaptiveNorm(num_channels)

    def prepare(self, feature_MCHW: Tensor) -> SourceMap:
        """Do what depends on the source picture alone."""
        detail_MCHW = functional.instance_norm(self.conv2(feature_MCHW))
        return SourceMap(channels_last(feature_MCHW), channels_last(detail_MCHW))

    def forward(self, source: SourceMap, expression_BS: Tensor) -> Tensor:
        """The map with the expression, shape (B, C, H, W)."""
        scale, shift = self.norm2(expression_BS)
        return (source.detail_MCHW * scale).add_(shift).add_(source.feature_MCHW)


class ToFlow(nn.Module):
    """Raw flow: displacement to the right, displacement down, mask."""

    def __init__(self, num_channels: int) -> None:
        """Names are those of the published state dict."""
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        self.upsample = Upsample()
        self.conv = ModulatedPointwise(num_channels, 3)

    def forward(self, x_BCHW: Tensor, style_BS: Tensor, previous_B3HW: Tensor | None) -> Tensor:
        """Refine the flow of half the size, shape (B, 3, H, W)."""
        # eight bits of mantissa would move a sample by half a pixel
        with torch.autocast(x_BCHW.device.type, enabled=False):
            flow_B3HW = self.conv(x_BCHW.float(), style_BS.float()) + self.bias
            return flow_B3HW if previous_B3HW is None else flow_B3HW + self.upsample(previous_B3HW)


def warp_features(feature_BCHW: Tensor, flow_B3HW: Tensor) -> tuple[Tensor, Tensor]:
    """Sample a map where the flow points.

    Returns:
        The samples, shape (B, C, H, W), and the mask that says how much they count, shape (B, 1, H, W), 0 to 1.
    """
    line = torch.linspace(-1, 1, flow_B3HW.shape[-1], device=flow_B3HW.device)
    identity_HW2 = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1)
    grid_BHW2 = flow_B3HW[:, :2].tanh().permute(0, 2, 3, 1) + identity_HW2
    # the identity above has the corners at -1 and 1, the sampler does not; trained weights rely on the difference
    is_plain = feature_BCHW.device.type == "cpu" and feature_BCHW.dtype == torch.float32
    if is_plain and not torch.compiler.is_compiling():
        sampled_BCHW = sampled(feature_BCHW, grid_BHW2)
    else:
        sampled_BCHW = functional.grid_sample(feature_BCHW, grid_BHW2.to(feature_BCHW.dtype), align_corners=False)
    return channels_last(sampled_BCHW), flow_B3HW[:, 2:].sigmoid()


def sampled(maps_BCHW: Tensor, grid_BHW2: Tensor) -> Tensor:
    """What `grid_sample` gives (bilinear, zeros outside, corners not aligned), on a CPU in a fifth of the time.

    The four neighbours of a sample are four rows of a table of pixels, added up by weight: channels stay together in
    memory, as they are before and after.
    """
    num, channels, height, width = maps_BCHW.shape
    x_BHW, y_BHW = (((grid_BHW2[..., axis] + 1) * size - 1) / 2 for axis, size in enumerate((width, height)))
    left_BHW, top_BHW = x_BHW.floor(), y_BHW.floor()
    first_B11 = torch.arange(num)[:, None, None] * (height * width)
    rows, weights = [], []
    for row_BHW, row_weight in ((top_BHW, top_BHW + 1 - y_BHW), (top_BHW + 1, y_BHW - top_BHW)):
        for column_BHW, column_weight in ((left_BHW, left_BHW + 1 - x_BHW), (left_BHW + 1, x_BHW - left_BHW)):
            inside = (row_BHW >= 0) & (row_BHW < height) & (column_BHW >= 0) & (column_BHW < width)
            row, column = row_BHW.long().clamp(0, height - 1), column_BHW.long().clamp(0, width - 1)
            rows.append(first_B11 + row * width + column)
            weights.append(row_weight * column_weight * inside)
    table = maps_BCHW.permute(0, 2, 3, 1).reshape(-1, channels)
    mixed = functional.embedding_bag(
        torch.stack(rows, -1).view(-1, 4), table, mode="sum", per_sample_weights=torch.stack(weights, -1).view(-1, 4)
    )
    return mixed.view(num, *grid_BHW2.shape[1:3], channels).permute(0, 3, 1, 2)


class ToColour(nn.Module):
    """Colours, with an activation on them."""

    def __init__(self, num_channels: int, upsamples: bool = True) -> None:
        """Names are those of the published state dict."""
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        self.upsample = Upsample() if upsamples else None
        self.conv = nn.Sequential(EqualConv(num_channels, 3, 1), FusedActivation(3))

    def forward(self, sampled_BCHW: Tensor, mask_B1HW: Tensor, previous_B3HW: Tensor | None) -> Tensor:
        """Refine the picture of half the size by the masked samples, shape (B, 3, H, W)."""
        convolve, activate = self.conv
        # a pointwise convolution has no bias, so three channels are masked in place of all
        picture_B3HW = activate(convolve(sampled_BCHW) * mask_B1HW) + self.bias
        if previous_B3HW is None or self.upsample is None:
            return picture_B3HW
        return picture_B3HW + self.upsample(previous_B3HW)


class LearnedStart(nn.Module):
    """The map every picture begins with."""

    def __init__(self) -> None:
        """Draw unit normals."""
        super().__init__()
        self.input = nn.Parameter(unit_normal(1, FIRST_WIDTH, FIRST_SIZE, FIRST_SIZE))


class Decoder(nn.Module):
    """Style layers that make a flow at each size, and the source's maps warped along it."""

    def __init__(self) -> None:
        """Names and their order are those of the published state dict; `to_rgb1` is never used."""
        super().__init__()
        self.input = LearnedStart()
        self.conv1 = StyleLayer(FIRST_WIDTH, FIRST_WIDTH)
        self.to_rgb1 = ToColour(FIRST_WIDTH, upsamples=False)
        self.convs = nn.ModuleList()
        for num_in, num_out in zip((FIRST_WIDTH, *WIDTHS), WIDTHS, strict=False):
            self.convs += [StyleLayer(num_in, num_out, upsamples=True), StyleLayer(num_out, num_out)]
        self.to_rgbs = nn.ModuleList(ToColour(width) for width in WIDTHS)
        self.to_flows = nn.ModuleList(ToFlow(width) for width in WIDTHS)
        self.fineadainresblock = nn.ModuleList(ExpressionBlock(width) for width in WIDTHS)

    def prepare(self, features_MCHW: Sequence[Tensor]) -> tuple[SourceMap, ...]:
        """Do what depends on the source picture alone, from its maps of 8x8 ... 256x256 pixels."""
        return tuple(block.prepare(feature) for block, feature in zip(self._blocks, features_MCHW, strict=True))

    def forward(self, source: Sequence[SourceMap], latent_BS: Tensor, expression_BS: Tensor) -> Tensor:
        """Pictures, shape (B, 3, 256, 256), not clamped.

        Args:
            source: Prepared maps of one source picture, or of one per sample.
            latent_BS: Source latent plus motion.
            expression_BS: The part of the motion that is expression.
        """
        x_BCHW = self.conv1(self.input.input, latent_BS)
        flow_B3HW: Tensor | None = None
        picture_B3HW: Tensor | None = None
        for level, block in enumerate(self._blocks):
            x_BCHW = self.convs[2 * level + 1](self.convs[2 * level](x_BCHW, latent_BS), latent_BS)
            flow_B3HW = self.to_flows[level](x_BCHW, latent_BS, flow_B3HW)
            sampled_BCHW, mask_B1HW = warp_features(block(source[level], expression_BS), flow_B3HW)
            x_BCHW = torch.lerp(x_BCHW, sampled_BCHW, mask_B1HW.to(x_BCHW.dtype))
            picture_B3HW = self.to_rgbs[level](sampled_BCHW, mask_B1HW, picture_B3HW)
        assert picture_B3HW is not None
        return picture_B3HW

    @property
    def _blocks(self) -> list[ExpressionBlock]:
        return [block for block in self.fineadainresblock if isinstance(block, ExpressionBlock)]
