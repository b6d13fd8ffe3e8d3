"""Frames of a video as PD-FGC sees them, and its pictures as frames.

Legend: B pictures, P side in pixels (224), H and W of a frame.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cmet.backbones.published.precision import levels

SIDE_PX = 224
CROP_ROWS = slice(0, 192)
CROP_COLUMNS = slice(16, 208)
"""Part of a 224-pixel face crop that the networks see: the chin lies at its lower edge."""


def pdfgc_pictures(frames: Sequence[np.ndarray], device: torch.device) -> Tensor:
    """Pictures in [-1, 1], shape (B, 3, 224, 224), of square RGB uint8 face crops (H, W, 3) of one size."""
    stacked = torch.from_numpy(np.stack(frames)).to(device)
    pictures_B3PP = stacked.permute(0, 3, 1, 2).float() / 127.5 - 1
    if pictures_B3PP.shape[-2:] != (SIDE_PX, SIDE_PX):
        pictures_B3PP = functional.interpolate(pictures_B3PP, (SIDE_PX, SIDE_PX), mode="bilinear", antialias=True)
    return cropped(pictures_B3PP)


def cropped(pictures_B3PP: Tensor) -> Tensor:
    """Rows 0 to 191 and columns 16 to 207, at 224 pixels again."""
    part = pictures_B3PP[..., CROP_ROWS, CROP_COLUMNS]
    return functional.interpolate(part, (SIDE_PX, SIDE_PX), mode="bilinear", align_corners=False)


def pdfgc_frames(pictures_B3PP: Tensor) -> list[np.ndarray]:
    """RGB uint8 frames (224, 224, 3) of pictures in [-1, 1]."""
    return list(levels(pictures_B3PP).permute(0, 2, 3, 1).cpu().numpy())
