"""The control values of a talking face: mouth, expression, eyes and head pose.

Legend: N frames.

Source: Dorniwang/PD-FGC-inference at d3c1488, its inference on a clip.
"""

import torch
from torch import Tensor

from cmet.backbones.pdfgc.motion import EXPRESSION_WIDTH, EYE_WIDTH, MOUTH_WIDTH, POSE_WIDTH

CONTROL_WIDTH = MOUTH_WIDTH + EXPRESSION_WIDTH + EYE_WIDTH + POSE_WIDTH

MOUTH_GAIN = 1.5
EYE_GAIN = 1.2
EXPRESSION_GAIN = 1.2


def steered(mouth_NM: Tensor, expression_NE: Tensor, eye_N6: Tensor, pose_N6: Tensor) -> Tensor:
    """What the generator is steered with, shape (N, 542): mouth 500, expression 30, eyes 6, pose 6.

    Expression and eyes get the published gains, and the pose is steadied; the mouth is final.
    """
    return torch.cat([mouth_NM, expression_NE * EXPRESSION_GAIN, eye_N6 * EYE_GAIN, neighbour_mean(pose_N6)], 1)


def smoothed(values_NK: Tensor, holds_ends: bool = False) -> Tensor:
    """Each frame with its two neighbours, weighted by a bell of width 1.

    Args:
        values_NK: At least one frame.
        holds_ends: Go on with the first and the last frame beyond the ends. The published filter goes on with zeros,
            which takes a quarter of those two frames away.
    """
    taps = torch.exp(-torch.tensor([-1.0, 0.0, 1.0], device=values_NK.device).square() / 2)
    taps /= taps.sum()
    result_NK = weighted_neighbours(values_NK, taps)
    if holds_ends:
        result_NK[0] += taps[0] * values_NK[0]
        result_NK[-1] += taps[2] * values_NK[-1]
    return result_NK


def neighbour_mean(values_NK: Tensor) -> Tensor:
    """Mean of each frame and its neighbours; the first and the last frame have one."""
    taps = torch.ones(3, device=values_NK.device)
    count_N1 = weighted_neighbours(torch.ones_like(values_NK[:, :1]), taps)
    return weighted_neighbours(values_NK, taps) / count_N1


def weighted_neighbours(values_NK: Tensor, taps_3: Tensor) -> Tensor:
    """Weighted sum of the frame before, the frame and the one after; zeros beyond the ends."""
    total = taps_3[1] * values_NK
    total[1:] += taps_3[0] * values_NK[:-1]
    total[:-1] += taps_3[2] * values_NK[1:]
    return total
