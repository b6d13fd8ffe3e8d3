"""EDTalk's networks in one module, with the parameter names of `EDTalk.pt`.

Legend: S latent width (512), K coefficients of a frame (36), O outputs of a head.

Source: EDTalk's `networks/generator.py` in ChanHyeok-Choi/C-MET at bd384ac.
"""

from collections.abc import Iterable
from itertools import chain

import torch
from torch import Tensor, nn

from cmet.backbones.edtalk.decoder import Decoder
from cmet.backbones.edtalk.encoder import Encoder
from cmet.backbones.edtalk.layers import STYLE_WIDTH, EqualLinear
from cmet.backbones.published.loading import unit_normal

PICTURE_PX = 256
NUM_LIP, NUM_POSE, NUM_EXPRESSION = 20, 6, 10
LIP = slice(0, NUM_LIP)
POSE = slice(NUM_LIP, NUM_LIP + NUM_POSE)
EXPRESSION = slice(NUM_LIP + NUM_POSE, NUM_LIP + NUM_POSE + NUM_EXPRESSION)
"""Columns of the basis, and of a frame's coefficients."""

NUM_COEFFICIENTS = EXPRESSION.stop


class MotionDirections(nn.Module):
    """Directions of motion before they are made orthogonal."""

    def __init__(self, num_directions: int) -> None:
        """Draw unit normals."""
        super().__init__()
        self.weight = nn.Parameter(unit_normal(STYLE_WIDTH, num_directions))


def linear_stack(*widths: int) -> nn.Sequential:
    """Equalised linear layers without activations."""
    return nn.Sequential(*(EqualLinear(*pair) for pair in zip(widths, widths[1:], strict=False)))


class EDTalkGenerator(nn.Module):
    """Encoder, decoder, motion directions and coefficient heads; `Renderer` runs them."""

    def __init__(self) -> None:
        """Names and their order are those of the published state dict."""
        super().__init__()
        self.enc = Encoder()
        self.dec = Decoder()
        self.direction_lipnonlip = MotionDirections(NUM_LIP + NUM_POSE)
        self.direction_exp = MotionDirections(NUM_EXPRESSION)
        wide = STYLE_WIDTH
        self.fc = linear_stack(wide, wide, wide, wide, wide)
        self.lip_fc = linear_stack(wide, wide, wide, NUM_LIP)
        self.pose_fc = linear_stack(wide, wide, wide, NUM_POSE)
        self.exp_fc = linear_stack(wide, wide, wide, NUM_EXPRESSION)

    def basis(self) -> Tensor:
        """Orthonormal directions of motion, shape (S, K): first factor of a QR decomposition.

        Its signs are LAPACK's, which the weights were trained with, so it is computed on the CPU.
        """
        directions_SK = torch.cat([self.direction_lipnonlip.weight, self.direction_exp.weight], 1) + 1e-8
        return torch.linalg.qr(directions_SK.cpu()).Q.to(directions_SK.device)

    def coefficient_map(self) -> tuple[Tensor, Tensor]:
        """Matrix (K, S) and offset (K,) from a latent to lip, pose and expression coefficients.

        There is no activation between the layers of the heads, so each of them is one affine map.
        """
        heads = [affine_map(chain(self.fc, head)) for head in (self.lip_fc, self.pose_fc, self.exp_fc)]
        matrices, offsets = zip(*heads, strict=True)
        return torch.cat(matrices), torch.cat(offsets)


def affine_map(layers: Iterable[nn.Module]) -> tuple[Tensor, Tensor]:
    """Matrix (O, S) and offset (O,) of equalised linear layers one after the other, multiplied in float64."""
    stack = [layer for layer in layers if isinstance(layer, EqualLinear)]
    bias = stack[0].bias
    matrix = torch.eye(STYLE_WIDTH, dtype=torch.float64, device=bias.device)
    offset = torch.zeros(STYLE_WIDTH, dtype=torch.float64, device=bias.device)
    for layer in stack:
        weight = layer.scaled_weight_OI.double()
        matrix, offset = weight @ matrix, weight @ offset + layer.bias.double()
    return matrix.to(bias.dtype), offset.to(bias.dtype)
