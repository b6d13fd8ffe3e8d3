"""PD-FGC's generator: StyleGAN2's synthesis, begun from the map of a person and steered by one style vector.

Legend: B pictures, C channels, P side of a map in pixels, Y style width (2590): 2048 appearance values, then the
542 control values of `control`.

Source: Dorniwang/PD-FGC-inference at d3c1488, the network behind `generator_model.pth`. Its mapping network (`style`),
learned start (`input`) and stored noise (`noises`) are kept as tensors only; no picture depends on them.
"""

import torch
from torch import Tensor, nn

from cmet.backbones.pdfgc.appearance import APPEARANCE_WIDTH, MAP_CHANNELS, MAP_PX
from cmet.backbones.pdfgc.control import CONTROL_WIDTH
from cmet.backbones.pdfgc.layers import BiasedActivation, Doubling, ModulatedConv, Noise, ScaledLinear
from cmet.backbones.published.loading import unit_normal

STYLE_WIDTH = APPEARANCE_WIDTH + CONTROL_WIDTH
CHANNELS = (512, 512, 512, 256, 128)
"""Channels after each doubling, from 14 to 224 pixels."""
NUM_MAPPING_LAYERS = 8


class PDFGCGenerator(nn.Module):
    """Shows a person with the given control values."""

    def __init__(self) -> None:
        """Draw initial weights; names and their order are those of the published state dict."""
        super().__init__()
        # number 0 normalises and has no tensors
        mapping = (ScaledLinear(STYLE_WIDTH, STYLE_WIDTH) for _ in range(NUM_MAPPING_LAYERS))
        self.style = nn.Sequential(nn.Identity(), *mapping)
        self.input = LearnedStart()
        self.conv1 = StyleLayer("conv1", MAP_CHANNELS, MAP_CHANNELS, MAP_PX)
        self.to_rgb1 = ColourLayer(MAP_CHANNELS)
        self.convs = nn.ModuleList()
        self.to_rgbs = nn.ModuleList()
        self.noises = StoredNoise()
        num_in = MAP_CHANNELS
        for number, num_out in enumerate(CHANNELS):
            side_px = MAP_PX * 2 ** (number + 1)
            self.convs.append(StyleLayer(f"convs.{2 * number}", num_in, num_out, side_px, doubles=True))
            self.convs.append(StyleLayer(f"convs.{2 * number + 1}", num_out, num_out, side_px))
            self.to_rgbs.append(ColourLayer(num_out, has_previous=True))
            num_in = num_out

    def forward(self, map_BCPP: Tensor, style_BY: Tensor) -> Tensor:
        """Pictures (B, 3, 224, 224) in [-1, 1].

        Args:
            map_BCPP: Map of the person, shape (B, 512, 7, 7), or (1, 512, 7, 7) for one person in all pictures.
            style_BY: Appearance vector and control values.
        """
        # a fifth faster on a CPU; the layers keep the order
        maps = self.conv1(map_BCPP.contiguous(memory_format=torch.channels_last), style_BY)
        picture = self.to_rgb1(maps, style_BY, None)
        for number, to_rgb in enumerate(self.to_rgbs):
            maps = self.convs[2 * number](maps, style_BY)
            maps = self.convs[2 * number + 1](maps, style_BY)
            picture = to_rgb(maps, style_BY, picture)
        return torch.tanh(picture)


class StyleLayer(nn.Module):
    """Modulated 3x3 convolution, noise, activation."""

    def __init__(self, path: str, num_in: int, num_out: int, side_px: int, doubles: bool = False) -> None:
        """The path of the layer in the network chooses its field of noise, `side_px` is its output's side."""
        super().__init__()
        self.conv = ModulatedConv(num_in, num_out, 3, STYLE_WIDTH, doubles=doubles)
        self.noise = Noise(f"{path}.noise", side_px)
        self.activate = BiasedActivation(num_out)

    def forward(self, maps_BCPP: Tensor, style_BY: Tensor) -> Tensor:
        """Map (B, num_in, P, P) to (B, num_out, P, P) or (B, num_out, 2P, 2P)."""
        return self.activate(self.noise(self.conv(maps_BCPP, style_BY)))


class ColourLayer(nn.Module):
    """The picture so far, doubled, plus what this size adds."""

    def __init__(self, num_in: int, has_previous: bool = False) -> None:
        """Map channels to red, green and blue."""
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        self.upsample = Doubling() if has_previous else None
        self.conv = ModulatedConv(num_in, 3, 1, STYLE_WIDTH, demodulates=False)

    def forward(self, maps_BCPP: Tensor, style_BY: Tensor, previous_BCPP: Tensor | None) -> Tensor:
        """Picture, shape (B, 3, P, P), not yet limited."""
        picture = self.conv(maps_BCPP, style_BY) + self.bias
        if self.upsample is None or previous_BCPP is None:
            return picture
        return picture + self.upsample(previous_BCPP)


class LearnedStart(nn.Module):
    """The constant map with which StyleGAN2 begins; here the map of the person takes its place."""

    def __init__(self) -> None:
        """Keep the published tensor."""
        super().__init__()
        self.input = nn.Parameter(unit_normal(1, MAP_CHANNELS, MAP_PX, MAP_PX))


class StoredNoise(nn.Module):
    """Noise fields in the published file, which its own code does not read."""

    def __init__(self) -> None:
        """Keep the published tensors."""
        super().__init__()
        for number in range(2 * len(CHANNELS) + 1):
            side_px = MAP_PX * 2 ** ((number + 1) // 2)
            self.register_buffer(f"noise_{number}", unit_normal(1, 1, side_px, side_px))
