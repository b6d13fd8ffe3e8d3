"""Mouth and lids of a face without its head pose, and how far they leave what real faces do.

Legend: T frames, P landmarks of a face (468), Q quantities.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from cmet.backbones.facemesh.mesh import BROWS, OPENINGS
from cmet.backbones.facemesh.pose import mean_template, remove_pose
from cmet.scores.metrics.landmarks import EYE_CORNERS, OUTER_LIPS

MOUTH = ("lip gap", "mouth width", "corner height", "corner angle", "upper lip", "lower lip")
LIDS = ("lid opening",)
QUANTITIES = MOUTH + LIDS
"""The gap is the smallest between the inner lips, negative where they cross; the height of the corners is that above
the middle of the mouth; lips are as thick as times the median of the same person unedited. Lengths are in distances
between the outer eye corners, the angle in degrees, the lids' opening in widths of the eye."""

RANGE_PERCENT = (0.5, 99.5)
"""Between these percentiles of the frames of real clips a quantity is in its range."""

INNER, *EYES = OPENINGS
CORNERS = [INNER[0][0], INNER[0][-1]]
MIDDLE_LIPS = [13, 14]
OUTER_CORNERS = [61, 291]
MOVING = sorted({*OUTER_LIPS, *BROWS, *(point for edges in OPENINGS for edge in edges for point in edge)})
"""Points that an emotion moves."""


@dataclass(frozen=True)
class RealRange:
    """What real faces do, measured over all frames of some clips."""

    template: np.ndarray
    """The face to which heads are turned."""
    low_Q: np.ndarray
    high_Q: np.ndarray

    @classmethod
    def of(cls, tracks: Sequence[np.ndarray]) -> Self:
        """The range of clips, each with landmarks (T, 478, 3), none missing."""
        template = mean_template(list(tracks))
        values_TQ = np.concatenate([shapes(track, track, template) for track in tracks])
        low_Q, high_Q = np.percentile(values_TQ, RANGE_PERCENT, axis=0)
        return cls(template, low_Q, high_Q)

    def beyond(self, track: np.ndarray, source: np.ndarray) -> dict[str, np.ndarray]:
        """How far each frame leaves the range, shape (T,), in widths of the range; 0 within.

        Args:
            track: Landmarks of a clip, shape (T, 478, 3).
            source: Those of the clip that was edited.
        """
        values_TQ, width_Q = shapes(track, source, self.template), self.high_Q - self.low_Q
        beyond_TQ = np.maximum(np.maximum(self.low_Q - values_TQ, values_TQ - self.high_Q), 0) / width_Q
        return dict(zip(QUANTITIES, beyond_TQ.T, strict=True))


def shapes(track: np.ndarray, source: np.ndarray, template: np.ndarray) -> np.ndarray:
    """The quantities of a clip, shape (T, Q).

    Args:
        track: Landmarks, shape (T, 478, 3).
        source: Those of the same person unedited, who says what is usual.
        template: As `RealRange` has it.
    """
    usual_TP3 = remove_pose(source, template)[0]
    left, right = EYE_CORNERS
    unit = float(np.median(np.linalg.norm(usual_TP3[:, left] - usual_TP3[:, right], axis=1)))
    points_TP3 = remove_pose(track, template)[0]
    upper_T, lower_T = _lips(points_TP3) / np.median(_lips(usual_TP3), axis=1, keepdims=True)
    edges_TK2 = points_TP3[:, CORNERS, :2]
    width_T = np.linalg.norm(points_TP3[:, OUTER_CORNERS[0]] - points_TP3[:, OUTER_CORNERS[1]], axis=1)
    # y grows downwards
    height_T = (points_TP3[:, MIDDLE_LIPS, 1].mean(axis=1) - edges_TK2[:, :, 1].mean(axis=1)) / unit
    half_width_T = np.abs(edges_TK2[:, 0, 0] - edges_TK2[:, 1, 0]) / 2 / unit
    above, below = INNER
    gap_T = (points_TP3[:, below[1:-1], 1] - points_TP3[:, above[1:-1], 1]).min(axis=1)
    return np.stack(
        [
            gap_T / unit, width_T / unit, height_T, np.degrees(np.arctan2(height_T, half_width_T)), upper_T, lower_T,
            _lid_opening(points_TP3),
        ],
        axis=1,
    )  # fmt: skip


def jitter(track: np.ndarray, source: np.ndarray, template: np.ndarray) -> float:
    """How much the moving points tremble, in times of what they do in the source: second differences, root mean square.

    Args:
        track: Landmarks of an edited clip, shape (T, 478, 3).
        source: Those of the clip that was edited.
        template: As `RealRange` has it.
    """
    edited, own = (
        np.sqrt(np.square(np.diff(remove_pose(one, template)[0][:, MOVING, :2], 2, axis=0)).mean())
        for one in (track, source)
    )
    return float(edited / own)


def _lips(points_TP3: np.ndarray) -> np.ndarray:
    """Thickness of the upper and the lower lip in the middle, shape (2, T)."""
    return np.stack(
        [np.linalg.norm(points_TP3[:, one] - points_TP3[:, other], axis=1) for one, other in ((0, 13), (14, 17))]
    )


def _lid_opening(points_TP3: np.ndarray) -> np.ndarray:
    """Mean height of the eyes' openings, shape (T,), in their widths."""
    openings = []
    for upper, lower in EYES:
        height_T = (points_TP3[:, lower[1:-1], 1] - points_TP3[:, upper[1:-1], 1]).max(axis=1)
        openings.append(height_T / np.linalg.norm(points_TP3[:, upper[0]] - points_TP3[:, upper[-1]], axis=1))
    return np.mean(openings, axis=0)
