"""Random changes of training pictures, so that the judge looks at the expression and not at the person.

Everything is drawn per picture from one generator; the same generator state gives the same pictures.
"""

# B pictures of a batch, C colours (3), P pixels of a side

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional

MAX_ROTATION_RAD = math.radians(5)
MAX_SHEAR = 0.03
MAX_ZOOM = 0.06
MAX_STRETCH = 0.03
MAX_SHIFT = 0.06
"""In half widths of the picture; the crop has put the face in the middle already."""
ELASTIC = 0.01
"""Spread of the smooth random warp, in half widths; it stands for faces that were not in the training set."""
ELASTIC_NODES = 5


def augment(pictures_BCPP: Tensor, generator: Generator) -> Tensor:
    """Move, mirror, warp, recolour, blur, and partly cover pictures with values 0-1; same shape."""
    moved = _move(pictures_BCPP, generator)
    return _cover(_disturb(_recolour(moved, generator), generator), generator)


def _uniform(size: tuple[int, ...], low: float, high: float, generator: Generator) -> Tensor:
    return torch.rand(size, generator=generator) * (high - low) + low


def _happens(count: int, probability: float, generator: Generator) -> Tensor:
    """0 or 1 per picture, shape (B, 1, 1, 1)."""
    return (torch.rand((count, 1, 1, 1), generator=generator) < probability).float()


def _move(pictures: Tensor, generator: Generator) -> Tensor:
    count, _, side, _ = pictures.shape
    angle = _uniform((count,), -MAX_ROTATION_RAD, MAX_ROTATION_RAD, generator)
    zoom = _uniform((count,), 1 - MAX_ZOOM, 1 + MAX_ZOOM, generator)
    stretch = _uniform((count,), 1 - MAX_STRETCH, 1 + MAX_STRETCH, generator)
    shear = _uniform((count,), -MAX_SHEAR, MAX_SHEAR, generator)
    shift = _uniform((count, 2), -MAX_SHIFT, MAX_SHIFT, generator)
    mirror = 1 - 2 * (torch.rand(count, generator=generator) < 0.5).float()
    cos, sin = torch.cos(angle), torch.sin(angle)
    rows_x = torch.stack([mirror * cos * zoom, (shear - sin) * zoom, shift[:, 0]], dim=1)
    rows_y = torch.stack([mirror * sin * zoom * stretch, cos * zoom * stretch, shift[:, 1]], dim=1)
    grid = functional.affine_grid(torch.stack([rows_x, rows_y], dim=1), list(pictures.shape), align_corners=False)
    nodes = ELASTIC * torch.randn((count, 2, ELASTIC_NODES, ELASTIC_NODES), generator=generator)
    warp = functional.interpolate(nodes, (side, side), mode="bicubic", align_corners=True)
    return functional.grid_sample(pictures, grid + warp.permute(0, 2, 3, 1), padding_mode="border", align_corners=False)


def _recolour(pictures: Tensor, generator: Generator) -> Tensor:
    """Another light and another skin, sometimes without colour."""
    count = len(pictures)
    gain = torch.exp(_uniform((count, 3), -0.4, 0.4, generator))
    greyness = _happens(count, 0.3, generator).reshape(count, 1, 1)
    mixing = torch.diag_embed(gain) * (1 - greyness) + greyness / 3
    offset = _uniform((count, 3, 1, 1), -0.15, 0.15, generator)
    return torch.einsum("bcd,bdhw->bchw", mixing, pictures) + offset


def _disturb(pictures: Tensor, generator: Generator) -> Tensor:
    """Blur and noise: what encoding and warping do to a picture."""
    count, _, side, _ = pictures.shape
    blurred = functional.avg_pool2d(pictures, 3, stride=1, padding=1, count_include_pad=False)
    share = _uniform((count, 1, 1, 1), 0, 1, generator) * _happens(count, 0.6, generator)
    noise = torch.rand((count, 1, side, side), generator=generator) - 0.5
    return torch.lerp(pictures, blurred, share) + _uniform((count, 1, 1, 1), 0, 0.2, generator) * noise


def _cover(pictures: Tensor, generator: Generator) -> Tensor:
    """Grey out a rectangle in half of the pictures."""
    count, _, side, _ = pictures.shape
    middle = _uniform((count, 2, 1), -1, 1, generator)
    half = _uniform((count, 2, 1), 0.1, 0.35, generator)
    place = torch.linspace(-1, 1, side).expand(count, 2, side)
    inside = ((place - middle).abs() < half).float()
    hole = inside[:, 0, None, :, None] * inside[:, 1, None, None, :] * _happens(count, 0.5, generator)
    return pictures * (1 - hole) + 0.5 * hole
