"""Glasses: whether a person wears some, and what of the face can move behind them.

Glasses are rigid. What they cover or touch stays where it is, lids move within the lenses, and brows move as far as
they are above the rims.

Legend: P face points (468); y grows downwards.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from cmet.backbones.facemesh.mesh import NUM_FACE_POINTS, OPENINGS, face_triangles

SIDE_TO_SIDE_PX = 96
"""Between the outer corners of the eyes in the picture where glasses are looked for."""

EYE_CORNERS = ((33, 133), (362, 263))
"""Of the eye on the viewer's left and the one on the right, from left to right."""

NOSE_ROOT, NOSE_RIDGE = 168, 197
"""Ends of the part of the nose that a bridge crosses."""

BETWEEN_EYES = (0.3, 0.7)
"""Part of the way from one inner corner of the eyes to the other where a bridge is nothing but a line."""

MAX_LINE_PX = 5
"""From the middle of a line to the skin beside it, at most."""

FLICKER = 16
"""Added to brightness, 0 to 255, so that noise of dark pictures is no contrast."""

MIN_CONTRAST = 0.06
"""Logarithm of brightness between skin and a bridge; the median of real faces without any is below 0.04."""

THROUGH = 0.25
"""Share of a line that may be fainter: it crosses the whole nose."""

HELD_BETWEEN = (-0.36, 0.58)
"""Heights against the middle of the eyes where rims are, in distances between the eyes."""

FREE_BEYOND = (-0.65, 0.8)
"""Heights from which on skin moves as without glasses."""

LID_SHARES = (0.5, 0.1)
"""Of its movement that a lid keeps, and skin right beside it: with more, lids fold over the rims."""


def wears_glasses(pictures: Sequence[np.ndarray], track: np.ndarray) -> bool:
    """Whether most of these pictures show a thin line across the bridge of the nose, darker or lighter than skin.

    Args:
        pictures: N frames of a person, RGB uint8.
        track: Their landmarks, shape (N, 478, 3), pixels; NaN where there is no face, which tells nothing.
    """
    found = zip(pictures, track, strict=True)
    contrasts = [_bridge_contrast(picture, points[:, :2]) for picture, points in found if np.isfinite(points).all()]
    return bool(contrasts) and float(np.median(contrasts)) >= MIN_CONTRAST


def freedom_behind_glasses(template: np.ndarray) -> np.ndarray:
    """Share (P,) of its movement that each point of a canonical face, shape (P, 3), keeps behind glasses."""
    left, right = (template[list(corners), :2].mean(axis=0) for corners in EYE_CORNERS)
    heights = (template[:, 1] - (left[1] + right[1]) / 2) / np.linalg.norm(right - left)
    (top, bottom), (free_top, free_bottom) = HELD_BETWEEN, FREE_BEYOND
    freedom = np.interp(heights, [free_top, top, bottom, free_bottom], [1.0, 0.0, 0.0, 1.0])
    lids, beside = _lids_and_beside()
    for points, share in zip((beside, lids), LID_SHARES[::-1], strict=True):
        freedom[points] = share
    return freedom


def _lids_and_beside() -> tuple[list[int], list[int]]:
    lids = {point for sides in OPENINGS[1:] for side in sides for point in side}
    triangles = face_triangles()
    on_face = triangles[(triangles < NUM_FACE_POINTS).all(axis=1)].tolist()
    touching = {point for corners in on_face if lids & set(corners) for point in corners}
    return sorted(lids), sorted(touching - lids)


def _bridge_contrast(picture: np.ndarray, points: np.ndarray) -> float:
    """Contrast of the clearest line across the bridge of the nose, logarithm of brightness; 0 where there is none."""
    level, placed = _levelled(picture, points)
    inner = [placed[EYE_CORNERS[0][1]], placed[EYE_CORNERS[1][0]]]
    left, right = (int(inner[0][0] + share * (inner[1][0] - inner[0][0])) for share in BETWEEN_EYES)
    top, bottom = int(placed[NOSE_ROOT, 1]) - MAX_LINE_PX, int(placed[NOSE_RIDGE, 1])
    if right - left < 2 or bottom <= top:  # a head that is turned away
        return 0.0
    return max(_line_through(lines[top:bottom, left:right]) for lines in (_lines_darker(level), _lines_darker(-level)))


def _levelled(picture: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logarithm of green around the eyes, turned and scaled so that they are level, and the points in it.

    In red light frames vanish before skin, and in blue it is noisier.
    """
    left, right = points[EYE_CORNERS[0][0]], points[EYE_CORNERS[1][1]]
    across = right - left
    scale = SIDE_TO_SIDE_PX / max(float(np.linalg.norm(across)), 1.0)
    cosine, sine = across / max(float(np.linalg.norm(across)), 1e-6) * scale
    turn = np.array([[cosine, sine], [-sine, cosine]])
    offset = np.array([SIDE_TO_SIDE_PX, SIDE_TO_SIDE_PX / 2]) - turn @ ((left + right) / 2)
    green = np.ascontiguousarray(picture[..., 1])
    if scale < 1:  # as if seen from farther away: a line keeps its mean
        green = cv2.GaussianBlur(green, (0, 0), 0.45 / scale)
    size = (2 * SIDE_TO_SIDE_PX, SIDE_TO_SIDE_PX + SIDE_TO_SIDE_PX // 2)
    cut = cv2.warpAffine(
        green, np.column_stack([turn, offset]), size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return cv2.GaussianBlur(np.log(cut.astype(np.float32) + FLICKER), (0, 0), 0.8), points @ turn.T + offset


def _lines_darker(level: np.ndarray) -> np.ndarray:
    """By how much each pixel is darker than both what is above it and what is below it: more than 0 on lines alone."""
    padded = np.pad(level, ((MAX_LINE_PX, MAX_LINE_PX), (0, 0)), mode="edge")
    height = len(level)
    beside = [
        np.minimum(padded[MAX_LINE_PX - px :][:height], padded[MAX_LINE_PX + px :][:height])
        for px in range(2, MAX_LINE_PX + 1)
    ]
    return np.maximum(np.max(beside, axis=0) - level, 0)


def _line_through(lines: np.ndarray) -> float:
    """Strength of the best way from the left to the right that goes up or down by a pixel per pixel at most."""
    best, came_from = lines[:, 0], []
    for column in lines.T[1:]:
        around = np.lib.stride_tricks.sliding_window_view(np.pad(best, 1, constant_values=-np.inf), 3)
        came_from.append(around.argmax(axis=1) - 1)
        best = around.max(axis=1) + column
    rows = [int(best.argmax())]
    for step in reversed(came_from):
        rows.append(rows[-1] + int(step[rows[-1]]))
    return float(np.quantile(lines[rows[::-1], range(lines.shape[1])], THROUGH))
