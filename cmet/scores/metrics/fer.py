"""What a network of FER-2013 says, a judge from outside: `acc_fer`, `acc_fer/true`, `acc_fer/agreement`.

It sees the square around the landmarks, in grey.

Legend: K faces, P pixels of a side (64).
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from cmet.backbones.facemesh.mesh import NUM_FACE_POINTS
from cmet.media.scaling import scaled
from cmet.scores.metrics.fer_network import CLASSES, SIZE_PX, FerNetwork
from cmet.scores.metrics.outside import OutsideJudge
from cmet.scores.metrics.seen import SeenFace

MARGIN = 1.1
"""Side of the square in sides of the landmarks' box; five real clips of MEAD are all named rightly from 1.1 to 1.15."""

CUT_PX = 256
"""Side to which a face is brought before its pixels are averaged to `SIZE_PX`."""


class FerAccuracy(OutsideJudge):
    """See the module."""

    NAMES = ("acc_fer", "acc_fer/true", "acc_fer/agreement")
    TITLE = "the network of FER-2013"
    CLASSES = CLASSES

    @classmethod
    def load(cls, weights: Path) -> "FerAccuracy":
        """The metric; its network comes with cmet."""
        return cls(FerNetwork.published())

    @staticmethod
    def pictures(faces: Sequence[SeenFace]) -> Tensor:
        """Grey levels from -1 to 1, shape (K, 1, P, P)."""
        squares_KPP = np.stack([face_square(face.frame, face.points[:NUM_FACE_POINTS, :2]) for face in faces])
        return (torch.from_numpy(squares_KPP).float() / 127.5 - 1)[:, None]


def face_square(frame: np.ndarray, points_P2: np.ndarray) -> np.ndarray:
    """The square around a face, grey, shape (64, 64), uint8.

    Args:
        frame: RGB uint8 (H, W, 3).
        points_P2: The landmarks of the face, pixels.
    """
    low, high = points_P2.min(axis=0), points_P2.max(axis=0)
    scale = CUT_PX / (MARGIN * float((high - low).max()))
    shift = CUT_PX / 2 - scale * (low + high) / 2
    placed = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    face = cv2.warpAffine(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), placed, (CUT_PX, CUT_PX))
    return scaled(face, SIZE_PX, SIZE_PX, cv2.INTER_AREA)
