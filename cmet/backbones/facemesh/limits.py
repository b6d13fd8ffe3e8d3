"""What a face can do from where it is: lips that close stay closed, lids blink, and nothing crosses.

Legend: T frames, P face points (468).
"""

import numpy as np

from cmet.backbones.facemesh.mesh import LIPS, OPENINGS
from cmet.backbones.facemesh.muscles import ACTION_UNITS, Muscles
from cmet.backbones.facemesh.pose import Pose

MAX_ACTION = 1.5
"""What an action is bent towards; 1 is a strong one."""

MIN_ACTION = 0.12
"""A trace of an action that is weaker was read into the code and is not shown."""

MAX_LOWERING = 0.55
"""Share of their distance from the eyes that brows come down by at most."""

APART = 0.025
"""Gap between the lips, in distances between the eyes, from which a mouth counts as open."""

PAUSE_FRAMES = 10
"""Lips that stay closed for longer than this on both sides are at rest, and may be opened."""

EASE_FRAMES = 9
"""Over which a mouth at rest opens."""

CLOSING_FRAMES = 1
"""Before lips meet and after, over which a mouth that is opened further closes and opens."""

MIN_LID_SHARE = 0.45
"""Of its opening that an eye keeps."""

MAX_LID_GAP = 0.22
"""Opening of an eye, in distances between the eyes, beyond which it is not widened."""

BROW_OVER_EYE = ((55, 133), (285, 362))
"""Inner end of each brow, and the corner of the eye below it."""

CHEEKS_PER_SMILE = 0.5
"""By how much cheeks come down with a smile that goes."""

TURNED = (0.75, 0.55)
"""Cosine of the angle by which a head is turned away, from which an edit fades, and at which it is gone."""


def bent(actions_TA: np.ndarray) -> np.ndarray:
    """Actions that go no further than people do: `MAX_ACTION` at most, and none where there is but a trace."""
    shown = np.maximum(actions_TA - MIN_ACTION, 0) / (1 - MIN_ACTION)
    return shown / (1 + (shown / MAX_ACTION) ** 12) ** (1 / 12)


def beside_own_smile(actions_TA: np.ndarray, own: float) -> np.ndarray:
    """Actions of a person who smiles already: another expression takes the place of the smile, a smile adds to it.

    Args:
        actions_TA: What is wanted of a face at rest.
        own: How much of the action `smile` the person shows in the video.
    """
    names = list(ACTION_UNITS)
    cheeks, smile = names.index("cheek_raise"), names.index("smile")
    others = np.delete(actions_TA, [cheeks, smile], axis=1)
    stays_T = own * (1 - np.minimum(others.max(axis=1), 1))
    result = actions_TA.copy()
    result[:, smile] = np.minimum(stays_T + actions_TA[:, smile], MAX_ACTION) - own
    result[:, cheeks] += CHEEKS_PER_SMILE * np.minimum(result[:, smile], 0)
    return result


def movement_of(muscles: Muscles, actions_TA: np.ndarray, plane_TP2: np.ndarray) -> np.ndarray:
    """What actions (T, A) move of a face that is seen (T, P, 2), canonical units, shape (T, P, 2)."""
    freedom_T = _freedom(_gap(plane_TP2) / muscles.eye_distance)
    actions_TA = actions_TA.copy()
    brows, jaw = (list(ACTION_UNITS).index(name) for name in ("brow_lower", "jaw_drop"))
    actions_TA[:, jaw] *= freedom_T
    room_T = np.min([plane_TP2[:, eye, 1] - plane_TP2[:, brow, 1] for brow, eye in BROW_OVER_EYE], axis=0)
    lowest = MAX_LOWERING * np.maximum(room_T, 0) / muscles.fields[brows, BROW_OVER_EYE[0][0], 1]
    actions_TA[:, brows] = np.minimum(actions_TA[:, brows], lowest)
    movement = np.tensordot(actions_TA, muscles.fields, axes=1)
    _limit_lips(movement, plane_TP2, freedom_T)
    _limit_lids(movement, plane_TP2, MAX_LID_GAP * muscles.eye_distance)
    return movement


def facing(pose: Pose) -> np.ndarray:
    """Share (T,) of an edit that a head shows: 1 where it looks at the camera, 0 where it is turned away."""
    start, end = TURNED
    return smooth_step((np.abs(pose.rotation[:, 2, 2]) - end) / (start - end))


def _gap(plane_TP2: np.ndarray) -> np.ndarray:
    middle = len(LIPS["inner_upper"]) // 2
    upper, lower = (plane_TP2[:, LIPS[name][middle]] for name in ("inner_upper", "inner_lower"))
    return np.linalg.norm(lower - upper, axis=1)


def _freedom(gap_T: np.ndarray) -> np.ndarray:
    """How far a mouth may be opened beyond what it does, 0 to 1: not where lips meet in speech, as for p, b and m."""
    open_T = smooth_step(gap_T / APART)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(open_T, PAUSE_FRAMES, mode="edge"), 2 * PAUSE_FRAMES + 1)
    padded = np.pad(around.max(axis=1), EASE_FRAMES // 2, mode="edge")
    speaking_T = np.convolve(padded, np.full(EASE_FRAMES, 1 / EASE_FRAMES), "valid")
    return _eased(np.maximum(open_T, 1 - speaking_T))


def _eased(freedom_T: np.ndarray) -> np.ndarray:
    """The same without leaps between neighbours, and nowhere more than it was: the mean of what is least around."""
    width = 2 * CLOSING_FRAMES + 1
    padded = np.pad(freedom_T, 2 * CLOSING_FRAMES, mode="edge")
    least_T = np.lib.stride_tricks.sliding_window_view(padded, width).min(axis=1)
    return np.convolve(least_T, np.full(width, 1 / width), "valid")


def _limit_lips(movement: np.ndarray, plane_TP2: np.ndarray, freedom_T: np.ndarray) -> None:
    """Lips come no further apart than the mouth may open, and never cross; both edges of a lip go together."""
    for upper, lower, outer_upper, outer_lower in zip(
        *(LIPS[name][1:-1] for name in ("inner_upper", "inner_lower", "outer_upper", "outer_lower")), strict=True
    ):
        gap = np.maximum(plane_TP2[:, lower, 1] - plane_TP2[:, upper, 1], 0)
        growth = movement[:, lower, 1] - movement[:, upper, 1]
        allowed = np.where(growth > 0, growth * freedom_T, np.maximum(growth, -gap))
        correction = (allowed - growth) / 2
        for point, sign in ((upper, -1), (outer_upper, -1), (lower, 1), (outer_lower, 1)):
            movement[:, point, 1] += sign * correction


def _limit_lids(movement: np.ndarray, plane_TP2: np.ndarray, max_gap: float) -> None:
    """Lids move less the more they are closed, so that blinks stay; eyes are neither shut nor torn open."""
    for upper, lower in OPENINGS[1:]:
        above, below = list(upper[1:-1]), list(lower[1:-1])
        opening = np.maximum(plane_TP2[:, below, 1] - plane_TP2[:, above, 1], 0)
        usual = np.maximum(np.percentile(opening, 80, axis=0), 1e-9)
        share = np.minimum(opening / usual, 1)
        for lid in (above, below):
            movement[:, lid, 1] *= share
        growth = movement[:, below, 1] - movement[:, above, 1]
        room_T = np.maximum(max_gap - opening.max(axis=1), 0)
        widening_T = np.maximum(growth.max(axis=1), 1e-9)
        allowed = np.where(growth > 0, growth * np.minimum(room_T / widening_T, 1)[:, None], growth)
        correction = (np.maximum(allowed, (MIN_LID_SHARE - 1) * opening) - growth) / 2
        movement[:, above, 1] -= correction
        movement[:, below, 1] += correction


def smooth_step(share: np.ndarray) -> np.ndarray:
    """0 up to 0, 1 from 1 on, and a smooth step between."""
    inside = np.clip(share, 0, 1)
    return inside * inside * (3 - 2 * inside)
