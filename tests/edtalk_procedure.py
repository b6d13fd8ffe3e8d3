"""EDTalk's published procedure, one frame at a time, on our modules: what the renderer is measured against.

Per frame the source picture and the pose frame are encoded and the basis is decomposed twice; kernels are made per
sample; both halves of the expression blocks are evaluated; filters and activations are what the published code falls
back to where its CUDA operators do not run.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from cmet.backbones.edtalk.decoder import AdaptiveNorm, Decoder, ExpressionBlock, ToColour, ToFlow
from cmet.backbones.edtalk.encoder import Encoder, ResidualBlock
from cmet.backbones.edtalk.generator import EXPRESSION, EDTalkGenerator
from cmet.backbones.edtalk.layers import Blur, EqualConv, FusedActivation, ModulatedConv, ModulatedPointwise, StyleLayer


@torch.inference_mode()
def published_coefficients(generator: EDTalkGenerator, pictures_B3HW: Tensor) -> Tensor:
    """Lip, pose and expression coefficients, shape (B, 36), as one batch."""
    shared_BS = generator.fc(published_encoding(generator.enc, pictures_B3HW)[0])
    return torch.cat([head(shared_BS) for head in (generator.lip_fc, generator.pose_fc, generator.exp_fc)], 1)


@torch.inference_mode()
def published_frame(
    generator: EDTalkGenerator, source_13HW: Tensor, pose_13HW: Tensor, lip_1P: Tensor, expression_1E: Tensor
) -> Tensor:
    """Picture (1, 3, 256, 256) with lips from speech."""
    latent_1S, features = published_encoding(generator.enc, source_13HW)
    pose_1Q = generator.pose_fc(generator.fc(published_encoding(generator.enc, pose_13HW)[0]))
    coefficients_1K = torch.cat([lip_1P, pose_1Q, expression_1E], 1)
    motion_1S = coefficients_1K @ generator.basis().T
    expression_1S = expression_1E @ generator.basis()[:, EXPRESSION].T
    return published_decoding(generator.dec, features, latent_1S + motion_1S, expression_1S)


def published_encoding(encoder: Encoder, pictures_B3HW: Tensor) -> tuple[Tensor, list[Tensor]]:
    first, *blocks, last = encoder.net_app.convs
    maps = [_equalised(first, pictures_B3HW)]
    for block in blocks:
        assert isinstance(block, ResidualBlock)
        inner = _equalised(block.conv1, maps[-1])
        maps.append((_walk(block.conv2, inner) + _walk(block.skip, maps[-1])) / math.sqrt(2))
    return _convolved(last, maps[-1]).flatten(1), maps[-2::-1]


def _equalised(layers: torch.nn.Module, x: Tensor) -> Tensor:
    assert isinstance(layers, torch.nn.Sequential)
    conv, activation = layers
    return _activated(activation, _convolved(conv, x))


def _convolved(conv: EqualConv, x: Tensor) -> Tensor:
    """Weights are scaled at every call."""
    return functional.conv2d(x, conv.weight * _scale(conv.weight[0]), stride=conv.stride, padding=conv.padding)


def _walk(layers: torch.nn.Sequential, x: Tensor) -> Tensor:
    """The published 1x1 convolution has the stride, not the filter before it."""
    blur, conv, *rest = layers
    assert isinstance(blur, Blur)
    x = functional.conv2d(_blurred(x, blur.kernel, blur.padding), conv.weight * _scale(conv.weight[0]), stride=2)
    return _activated(rest[0], x) if rest else x


def published_decoding(decoder: Decoder, features: list[Tensor], latent_BS: Tensor, expression_BS: Tensor) -> Tensor:
    x = _styled(decoder.conv1, decoder.input.input.repeat(len(latent_BS), 1, 1, 1), latent_BS)
    flow = picture = None
    for level, feature in enumerate(features):
        for layer in decoder.convs[2 * level : 2 * level + 2]:
            x = _styled(layer, x, latent_BS)
        flow = _flow(decoder.to_flows[level], x, latent_BS, flow)
        warped, mask = _warped(_expressed(decoder.fineadainresblock[level], feature, expression_BS), flow)
        x = warped + (1 - mask) * x
        picture = _coloured(decoder.to_rgbs[level], warped, picture)
    assert picture is not None
    return picture


def _warped(feature: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    line = torch.linspace(-1, 1, flow.shape[-1])
    identity = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1)
    grid = flow[:, :2].tanh().permute(0, 2, 3, 1) + identity
    mask = flow[:, 2:].sigmoid()
    return functional.grid_sample(feature, grid, align_corners=False) * mask, mask


def _styled(layer: StyleLayer, x: Tensor, style: Tensor) -> Tensor:
    return _activated(layer.activate, _modulated(layer.conv, x, style))


def _modulated(conv: ModulatedConv | ModulatedPointwise, x: Tensor, style: Tensor) -> Tensor:
    """One kernel per sample, convolved in groups."""
    num, num_in, height, width = x.shape
    kernels = conv.weight * _scale(conv.weight[0, 0]) * conv.modulation(style)[:, None, :, None, None]
    x = x.reshape(1, num * num_in, height, width)
    if isinstance(conv, ModulatedPointwise):
        return functional.conv2d(x, kernels.flatten(0, 1), groups=num).view(num, -1, height, width)
    kernels = kernels * torch.rsqrt(kernels.square().sum((2, 3, 4), keepdim=True) + 1e-8)
    if conv.blur is None:
        return functional.conv2d(x, kernels.flatten(0, 1), padding=1, groups=num).view(num, -1, height, width)
    kernels = kernels.transpose(1, 2).flatten(0, 1)
    x = functional.conv_transpose2d(x, kernels, stride=2, groups=num)
    return _blurred(x.view(num, -1, *x.shape[2:]), conv.blur.kernel, 1)


def _flow(layer: ToFlow, x: Tensor, style: Tensor, previous: Tensor | None) -> Tensor:
    flow = _modulated(layer.conv, x, style) + layer.bias
    return flow if previous is None else flow + _doubled(previous, layer.upsample.kernel)


def _coloured(layer: ToColour, warped: Tensor, previous: Tensor | None) -> Tensor:
    picture = _equalised(layer.conv, warped) + layer.bias
    assert layer.upsample is not None
    return picture if previous is None else picture + _doubled(previous, layer.upsample.kernel)


def _expressed(block: ExpressionBlock, feature: Tensor, expression: Tensor) -> Tensor:
    _adapted(block.norm1, block.conv1(feature), expression)
    return feature + _adapted(block.norm2, block.conv2(feature), expression)


def _adapted(norm: AdaptiveNorm, x: Tensor, expression: Tensor) -> Tensor:
    scale, shift = norm(expression)
    return functional.instance_norm(x) * scale + shift


def _blurred(x: Tensor, kernel: Tensor, padding: int) -> Tensor:
    """Each plane for itself, as the published code filters where its CUDA operators do not run."""
    channels = x.shape[1]
    # in groups: the same bits as plane by plane, in half the time
    return functional.conv2d(functional.pad(x, [padding] * 4), kernel.expand(channels, 1, -1, -1), groups=channels)


def _activated(layer: FusedActivation, x: Tensor) -> Tensor:
    return functional.leaky_relu(x + layer.bias, 0.2) * 2**0.5


def _doubled(x: Tensor, kernel: Tensor) -> Tensor:
    """Zeros in between, two rows and columns before and one behind, filter."""
    spread = x.new_zeros(*x.shape[:2], x.shape[2], 2, x.shape[3], 2)
    spread[:, :, :, 0, :, 0] = x
    planes = functional.pad(spread.reshape(-1, 1, 2 * x.shape[2], 2 * x.shape[3]), [2, 1, 2, 1])
    return functional.conv2d(planes, kernel[None, None]).view(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])


def _scale(one_output: Tensor) -> float:
    return 1 / math.sqrt(one_output.numel())
