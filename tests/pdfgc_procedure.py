"""How PD-FGC's published inference steers its generator: parts of a face from driving videos of any length.

Source: Dorniwang/PD-FGC-inference at d3c1488, its inference on a clip.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from cmet.backbones.pdfgc.control import MOUTH_GAIN, smoothed, steered

# N frames of the result, T frames of a driving track

FIRST_FRAME = 2
"""The first spectrogram window stands over video frame 2; the driving tracks begin there too."""


class Drivers(NamedTuple):
    """Tracks of the driving videos as `MotionNetwork` gives them; their lengths need not agree."""

    pose_T6: Tensor
    expression_TE: Tensor
    eye_T6: Tensor


def control_values(mouth_NM: Tensor, drivers: Drivers) -> Tensor:
    """Control values, shape (N, 542), of the mouth as `AudioNetwork` gives it; short tracks begin anew.

    Differs from the published code where a driving track is shorter than eight frames: it is repeated like any other.
    """
    num_frames = len(mouth_NM)
    tracks = (drivers.expression_TE, drivers.eye_T6, drivers.pose_T6)
    return steered(smoothed(mouth_NM * MOUTH_GAIN), *(repeated(track, num_frames) for track in tracks))


def repeated(track_TK: Tensor, num_frames: int) -> Tensor:
    """The frames of a track from the third one on, over and over, shape (N, K)."""
    usable = track_TK[FIRST_FRAME:]
    return usable[torch.arange(num_frames) % len(usable)]
