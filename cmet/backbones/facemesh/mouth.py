"""The inside of a mouth whose lips were moved: teeth keep their shape, and where nothing was seen it is dark.

A warp would stretch what lies between the lips. Here the upper part, where teeth are seen mostly, hangs on the upper
lip and the rest on the lower one; they are widened and lengthened a little, and between them and in the corners the
cavity shows.

Legend: H, W a rectangle of the picture around the mouth.
"""

import cv2
import numpy as np

from cmet.backbones.facemesh.limits import smooth_step
from cmet.backbones.facemesh.mesh import LIPS

MAX_WIDENING = 1.3
MAX_LENGTHENING = 1.6
"""By how much what was seen between the lips is stretched at most."""

UPPER_SHARE = 0.7
"""Of what was seen between the lips, how much hangs on the upper one."""

SEAM = 0.01
"""Width of soft edges, in distances between the eyes."""

CAVITY = np.array([0.38, 0.27, 0.27], np.float32)
TONGUE = np.array([0.62, 0.48, 0.48], np.float32)
"""Colours in shares of that of the lips."""


def draw_inner_mouth(
    frame: np.ndarray, moved: np.ndarray, points: np.ndarray, shift: np.ndarray, eye_distance: float
) -> None:
    """Draw between the lips of a frame whose face was moved.

    Args:
        frame: The frame as it was, RGB uint8 (H, W, 3).
        moved: The same with the face moved; is drawn on.
        points: The face points of `frame`, shape (468, 2), pixels.
        shift: By how much each was moved, same shape.
        eye_distance: Between the eyes, pixels.
    """
    upper, lower = (points[list(LIPS[name])] for name in ("inner_upper", "inner_lower"))
    upper_goal, lower_goal = (
        points[list(LIPS[name])] + shift[list(LIPS[name])] for name in ("inner_upper", "inner_lower")
    )
    was, goal = _Axes(upper), _Axes(upper_goal)
    seam = SEAM * eye_distance
    if min(was.half, goal.half) < 2 * seam:
        return
    corners = np.concatenate([upper_goal, lower_goal])
    left, top = np.maximum(np.floor(corners.min(axis=0) - 3 * seam - 2).astype(int), 0)
    right, bottom = np.minimum(np.ceil(corners.max(axis=0) + 3 * seam + 2).astype(int), frame.shape[1::-1])
    if right <= left or bottom <= top:
        return
    along, down = goal.of(np.stack(np.meshgrid(np.arange(left, right), np.arange(top, bottom)), axis=-1))
    above, below = goal.curve(along, upper_goal), goal.curve(along, lower_goal)
    gap = np.maximum(below - above, 0)
    share = np.clip((down - above) / seam + 0.5, 0, 1) * np.clip((below - down) / seam + 0.5, 0, 1)
    share *= smooth_step(gap / (3 * seam))
    # a mouth that is not moved stays as it is
    share *= smooth_step(np.abs(np.concatenate([upper_goal - upper, lower_goal - lower])).max() / (2 * seam))
    if share.max() < 1 / 255:
        return
    seen_along = along / np.clip(goal.half / was.half, 1 / MAX_WIDENING, MAX_WIDENING)
    seen_above, seen_below = was.curve(seen_along, upper), was.curve(seen_along, lower)
    seen_gap = np.maximum(seen_below - seen_above, 0)
    upper_part, lower_part = UPPER_SHARE * seen_gap, (1 - UPPER_SHARE) * seen_gap
    stretch = np.clip(gap / np.maximum(seen_gap, 1e-3), 1 / MAX_LENGTHENING, MAX_LENGTHENING)
    from_above, from_below = (down - above) / stretch, (below - down) / stretch
    is_met = gap <= 1.02 * stretch * seen_gap
    at_corner = np.clip((was.half - np.abs(seen_along)) / (3 * seam), 0, 1)
    upper_share = at_corner * np.where(
        is_met, from_above <= upper_part, np.clip((upper_part - from_above) / seam + 0.5, 0, 1)
    )
    lower_share = at_corner * np.where(
        is_met, from_above > upper_part, np.clip((lower_part - from_below) / seam + 0.5, 0, 1)
    )
    inside = _cavity(_lip_colour(frame, points), along / goal.half, (down - above) / np.maximum(gap, 1e-3))
    for part, depth in (
        (lower_share, seen_below - np.maximum(from_below, 0)),
        (upper_share, seen_above + np.maximum(from_above, 0)),
    ):
        x, y = was.pixels(seen_along, depth)
        shown = cv2.remap(frame, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        inside += part[..., None].astype(np.float32) * (shown - inside)
    drawn = moved[top:bottom, left:right]
    mixed = drawn + share[..., None].astype(np.float32) * (inside - drawn)
    moved[top:bottom, left:right] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


class _Axes:
    """Coordinates of a mouth: along the line between its corners, and down from it; pixels."""

    def __init__(self, lip: np.ndarray) -> None:
        """Take those of a lip's edge (N, 2), from the left corner to the right one."""
        across = lip[-1] - lip[0]
        self.half = float(np.linalg.norm(across)) / 2
        self.middle = (lip[0] + lip[-1]) / 2
        self.along = across / max(2 * self.half, 1e-6)
        self.down = np.array([-self.along[1], self.along[0]])

    def of(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates of pixels (..., 2)."""
        return (pixels - self.middle) @ self.along, (pixels - self.middle) @ self.down

    def pixels(self, along: np.ndarray, down: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels at coordinates, x and y, float32."""
        x, y = (self.middle[i] + along * self.along[i] + down * self.down[i] for i in (0, 1))
        return x.astype(np.float32), y.astype(np.float32)

    def curve(self, along: np.ndarray, edge: np.ndarray) -> np.ndarray:
        """How far down an edge (N, 2) is at some places along."""
        where, depth = self.of(edge)
        # an edge may turn back at a corner
        return np.interp(along, np.maximum.accumulate(where + 1e-4 * np.arange(len(where))), depth)


def _cavity(lips: np.ndarray, along: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """The dark of a mouth with the tongue on its floor, shape (H, W, 3), float32; places from -1 to 1, from 0 to 1."""
    tongue = 0.8 * smooth_step((depth - 0.55) / 0.4) * smooth_step(2 * (1 - np.abs(along)))
    return lips * (CAVITY + tongue[..., None].astype(np.float32) * (TONGUE - CAVITY))


def _lip_colour(frame: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Median colour of the red of both lips, shape (3,), float32."""
    reds = [
        (points[list(LIPS[f"outer_{side}"][2:-2])] + points[list(LIPS[f"inner_{side}"][2:-2])]) / 2
        for side in ("upper", "lower")
    ]
    x, y = np.clip(np.rint(np.concatenate(reds)).astype(int), 0, np.array(frame.shape[1::-1]) - 1).T
    return np.median(frame[y, x].astype(np.float32), axis=0)
