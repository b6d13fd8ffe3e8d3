"""What face-api's network says, a judge from outside: `acc_faceapi`, `acc_faceapi/true`, `acc_faceapi/agreement`.

It sees the box around the jaw and the brows, in colour, as face-api cuts it out of a picture: its `alignedRect`, whose
68 landmarks come from a network of its own, ours from MediaPipe.

Legend: K faces, P pixels of a side (112).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cmet.scores.metrics.faceapi_network import CLASSES, SIZE_PX, ExpressionNetwork
from cmet.scores.metrics.outside import OutsideJudge
from cmet.scores.metrics.seen import Box, SeenFace, boxed

PADDING = 0.2
"""What the box of the landmarks is widened by, in widths and heights of it; half of that on each side."""

OUTLINE = (
    127, 234, 93, 132, 58, 136, 150, 176, 152, 400, 379, 365, 288, 361, 323, 454, 356,
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,
)  # fmt: skip
"""MediaPipe's landmarks of the jaw and of the brows, the outermost of the 68."""


class FaceApiAccuracy(OutsideJudge):
    """See the module."""

    NAMES = ("acc_faceapi", "acc_faceapi/true", "acc_faceapi/agreement")
    TITLE = "face-api's network of expressions"
    CLASSES = CLASSES

    @classmethod
    def load(cls, weights: Path) -> "FaceApiAccuracy":
        """The metric; its network comes with cmet."""
        return cls(ExpressionNetwork.published())

    @staticmethod
    def pictures(faces: Sequence[SeenFace]) -> Tensor:
        """RGB from 0 to 255, shape (K, 3, P, P)."""
        squares_KPP3 = np.stack([boxed(face.frame, outline_box(face.points), SIZE_PX) for face in faces])
        return torch.from_numpy(squares_KPP3).permute(0, 3, 1, 2).float()


def outline_box(points: np.ndarray) -> Box:
    """The box of a face, widened.

    Args:
        points: Its landmarks, shape (478, 3), pixels.
    """
    outline = points[list(OUTLINE), :2]
    low, high = outline.min(axis=0), outline.max(axis=0)
    left, top = low - PADDING / 2 * (high - low)
    width, height = (1 + PADDING) * (high - low)
    return Box(float(left), float(top), float(width), float(height))
