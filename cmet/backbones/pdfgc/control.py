"""The control values of a talking face: which driver gives mouth, expression, eyes and head pose.

Legend: N frames of the result, T frames of a driving track.

Source: Dorniwang/PD-FGC-inference at d3c1488, its inference on a clip.
"""

from collections.abc import Set
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from cmet.backbones.pdfgc.motion import EXPRESSION_WIDTH, EYE_WIDTH, MOUTH_WIDTH, POSE_WIDTH
from cmet.errors import ClipError

CONTROL_WIDTH = MOUTH_WIDTH + EXPRESSION_WIDTH + EYE_WIDTH + POSE_WIDTH

MOUTH_GAIN = 1.5
EYE_GAIN = 1.2
EXPRESSION_GAIN = 1.2

FIRST_FRAME = 2
"""The first spectrogram window stands over video frame 2; the driving tracks begin there too."""

Part = Literal["mouth", "expression", "blink", "gaze", "pose"]

_EXPRESSION = MOUTH_WIDTH
_EYE = _EXPRESSION + EXPRESSION_WIDTH
_POSE = _EYE + EYE_WIDTH
COLUMNS: dict[Part, list[int]] = {
    "mouth": [*range(MOUTH_WIDTH)],
    "expression": [*range(_EXPRESSION, _EYE)],
    "blink": [_EYE, _EYE + 1, _EYE + 4, _EYE + 5],
    "gaze": [_EYE + 2, _EYE + 3],
    "pose": [*range(_POSE, CONTROL_WIDTH)],
}
"""Columns of the control values that belong to each part."""


class Drivers(NamedTuple):
    """Tracks of the driving videos as `MotionNetwork` gives them; their lengths need not agree."""

    pose_T6: Tensor
    expression_TE: Tensor
    eye_T6: Tensor


def control_values(mouth_NM: Tensor, drivers: Drivers, off: Set[Part] = frozenset()) -> Tensor:
    """What the generator is steered with, shape (N, 542): mouth 500, expression 30, eyes 6, pose 6.

    Differs from the published code where a driving track is shorter than eight frames: it is repeated like any other.

    Args:
        mouth_NM: Mouth of each frame as `AudioNetwork` gives it, shape (N, 500).
        drivers: Tracks, begun two frames before the first mouth; short ones are repeated from their third frame.
        off: Parts that stay zero.

    Raises:
        ClipError: `too_short`, where a driving track has no third frame.
    """
    num_frames = len(mouth_NM)
    control_NC = steered(
        smoothed(mouth_NM * MOUTH_GAIN),
        repeated(drivers.expression_TE, num_frames),
        repeated(drivers.eye_T6, num_frames),
        repeated(drivers.pose_T6, num_frames),
    )
    for part in off:
        control_NC[:, COLUMNS[part]] = 0
    return control_NC


def steered(mouth_NM: Tensor, expression_NE: Tensor, eye_N6: Tensor, pose_N6: Tensor) -> Tensor:
    """Control values (N, 542) of frames, with the published gains and a steadied pose; the mouth is final."""
    return torch.cat([mouth_NM, expression_NE * EXPRESSION_GAIN, eye_N6 * EYE_GAIN, neighbour_mean(pose_N6)], 1)


def repeated(track_TK: Tensor, num_frames: int) -> Tensor:
    """The frames of a track from the third one on, over and over, shape (N, K)."""
    usable = track_TK[FIRST_FRAME:]
    if not len(usable):
        raise ClipError("too_short", f"{len(track_TK)} driving frames, at least {FIRST_FRAME + 1} are needed")
    return usable[torch.arange(num_frames, device=track_TK.device) % len(usable)]


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
