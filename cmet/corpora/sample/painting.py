"""Painting with OpenCV: soft shading, smooth edges, some hundred frames per second and core.

Face units: a frame is 320 of them wide and high, whatever its size in pixels.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from cmet.corpora.sample.curves import ellipse, smooth_curve
from cmet.corpora.sample.look import Colour, Look
from cmet.media.scaling import scaled

# T frames, N points of a curve, 2 coordinates
UNITS = 320
CENTRE = np.array([160.0, 160.0])
"""Where the middle of the head is when it keeps still."""
_SOFT = 4
"""The shading is painted this many times smaller and blurred."""
_SHIFT = 4
"""Fractional bits of OpenCV coordinates."""


@dataclass(frozen=True)
class Stroke:
    """One curve of every frame, filled or drawn with a pen."""

    points_TN2: np.ndarray
    colour: Colour
    pen: float | None = None
    """Width in face units; filled without one."""


@dataclass(frozen=True)
class Drawing:
    """All curves of a clip, in the order of painting."""

    shadow: Colour
    ears: list[Stroke]
    outline: Stroke
    shading: list[Stroke]
    features: list[Stroke]


def paint_backdrop(look: Look, frame_px: int, light: float) -> np.ndarray:
    """What does not move: wall, hair behind the neck, neck and clothes; RGB, shape (frame_px, frame_px, 3)."""
    scale = frame_px / UNITS
    image = _wall(look.backdrop, frame_px, light)
    cut = look.cut
    if cut.back_y > 0:
        width = cut.back_width
        back = [(-0.7 * width, -60), (-width, 20), (-0.95 * width, cut.back_y), (0, cut.back_y - 12)]
        ring = np.array([back + [(-x, y) for x, y in back[2::-1]]], dtype=float)
        _paint(image, smooth_curve(ring, is_closed=True)[0] + CENTRE, _darker(look.hair), None, scale)
    neck = 36 * look.jaw_width * look.face_width
    ring = np.array([[(-neck, 40), (neck, 40), (neck + 2, 112), (neck + 30, 126), (-neck - 30, 126), (-neck - 2, 112)]])
    _paint(image, ring[0] + CENTRE, look.shade(-0.10), None, scale)
    shade = image.copy()
    _paint(shade, ellipse((6 * light, look.chin_y - 2), 58, 26) + CENTRE, look.shade(-0.50), None, scale)
    inside = np.zeros(image.shape[:2], np.uint8)
    _paint(inside, ring[0] + CENTRE, (255, 255, 255), None, scale)
    soft = cv2.GaussianBlur(shade, (0, 0), 3.5 * scale)
    image[inside > 0] = soft[inside > 0]
    shoulders = np.array([[(-170, 190), (-128, 132), (-70, 112), (-neck - 4, 104), (-24, 122), (0, 128)]], dtype=float)
    ring = np.concatenate([shoulders, shoulders[:, -2::-1] * (-1, 1)], axis=1)
    _paint(image, smooth_curve(ring, is_closed=False)[0] + CENTRE, look.clothes, None, scale)
    collar = smooth_curve(ring[:, 3:8], is_closed=False)[0] + CENTRE
    _paint(image, collar, _darker(look.clothes), 4.0, scale)
    return image


def _wall(colour: Colour, size_px: int, light: float) -> np.ndarray:
    """A plain wall, brighter where the light comes from."""
    down, right = np.mgrid[-1:1:65j, -1:1:65j]
    brightness = 1 + 0.08 * light * right - 0.07 * down - 0.05 * (right**2 + down**2)
    wall = scaled(brightness[..., None] * np.array(colour), size_px, size_px)
    return np.clip(np.round(wall), 0, 255).astype(np.uint8)


def paint_frames(drawing: Drawing, backdrop: np.ndarray) -> Iterator[np.ndarray]:
    """Frame after frame, RGB uint8, the size of the backdrop."""
    frame_px = len(backdrop)
    scale = frame_px / UNITS
    small_px = frame_px // _SOFT
    blur_px = 2 * round(3 * scale) + 1
    mask = np.zeros((frame_px, frame_px), np.uint8)
    small = np.empty((small_px, small_px, 3), np.uint8)
    sharp = [_fixed(stroke.points_TN2, scale) for stroke in drawing.features]
    ears = [_fixed(stroke.points_TN2, scale) for stroke in drawing.ears]
    soft = [_fixed(stroke.points_TN2, scale / _SOFT) for stroke in drawing.shading]
    outline = _fixed(drawing.outline.points_TN2, scale)
    for index in range(len(outline)):
        small[:] = np.array(drawing.shadow, np.uint8)
        for stroke, points in zip(drawing.shading, soft, strict=True):
            _paint_fixed(small, points[index], stroke.colour, stroke.pen, scale / _SOFT)
        skin = scaled(cv2.GaussianBlur(small, (blur_px, blur_px), 1.7 * scale), frame_px, frame_px)
        frame = backdrop.copy()
        for stroke, points in zip(drawing.ears, ears, strict=True):
            _paint_fixed(frame, points[index], stroke.colour, stroke.pen, scale)
        mask[:] = 0
        cv2.fillPoly(mask, [outline[index]], (255,), cv2.LINE_8, _SHIFT)
        cv2.copyTo(skin, mask, frame)
        cv2.polylines(frame, [outline[index]], True, drawing.shadow, _pen_px(1.2, scale), cv2.LINE_AA, _SHIFT)
        for stroke, points in zip(drawing.features, sharp, strict=True):
            _paint_fixed(frame, points[index], stroke.colour, stroke.pen, scale)
        yield frame


def _darker(colour: Colour) -> Colour:
    return (0.74 * colour[0], 0.74 * colour[1], 0.74 * colour[2])


def _fixed(points: np.ndarray, scale: float) -> np.ndarray:
    # half a unit: OpenCV puts the middle of the first pixel at 0
    return np.round(((points + 0.5) * scale - 0.5) * (1 << _SHIFT)).astype(np.int32)


def _pen_px(pen: float, scale: float) -> int:
    return max(1, round(pen * scale))


def _paint(image: np.ndarray, points_N2: np.ndarray, colour: Colour, pen: float | None, scale: float) -> None:
    _paint_fixed(image, _fixed(points_N2, scale), colour, pen, scale)


def _paint_fixed(image: np.ndarray, points_N2: np.ndarray, colour: Colour, pen: float | None, scale: float) -> None:
    if pen is None:
        cv2.fillPoly(image, [points_N2], colour, cv2.LINE_AA, _SHIFT)
    else:
        cv2.polylines(image, [points_N2], False, colour, _pen_px(pen, scale), cv2.LINE_AA, _SHIFT)
