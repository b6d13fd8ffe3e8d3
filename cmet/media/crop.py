"""The square around a face that a clip is cut to."""

from collections.abc import Sequence

import cv2
import numpy as np

from cmet.errors import ClipError

MARGIN = 0.1
"""Enlargement of the first-order motion model's crop, which EDTalk and C-MET use."""

MAX_SHARE_WITH_TWO = 0.2
"""Share of frames in which a second face may show (a poster, a false alarm) before the clip counts as two people."""


def square_around(boxes: Sequence[np.ndarray]) -> np.ndarray:
    """Static square (left, top, right, bottom) around all face boxes of a clip, enlarged by a tenth.

    Source: crop rule of the first-order motion model's preprocessing (crop_vox), where the union box is made
    square with `increase` 0.1.
    """
    stack = np.stack(boxes)
    left, top = stack[:, :2].min(axis=0)
    right, bottom = stack[:, 2:].max(axis=0)
    width, height = right - left, bottom - top
    grow_x = max(MARGIN, ((1 + 2 * MARGIN) * height - width) / (2 * width))
    grow_y = max(MARGIN, ((1 + 2 * MARGIN) * width - height) / (2 * height))
    return np.array([left - grow_x * width, top - grow_y * height, right + grow_x * width, bottom + grow_y * height])


def face_square(faces: Sequence[Sequence[np.ndarray]], min_face_ratio: float) -> np.ndarray:
    """The crop of a clip from the faces found in some of its frames.

    Raises:
        ClipError: `no_face` or `two_faces`.
    """
    ratio = sum(bool(found) for found in faces) / len(faces)
    if ratio < min_face_ratio:
        raise ClipError("no_face", f"a face in {ratio:.0%} of the frames looked at, {min_face_ratio:.0%} are needed")
    double = sum(len(found) > 1 for found in faces) / len(faces)
    if double > MAX_SHARE_WITH_TWO:
        raise ClipError("two_faces", f"two faces in {double:.0%} of the frames looked at")
    return square_around([found[0] for found in faces if found])


def crop(frame: np.ndarray, box: np.ndarray, size_px: int) -> np.ndarray:
    """Cut a square out of a frame and scale it; where it leaves the frame the picture is mirrored.

    Differs from the first-order motion model, which clips the box to the frame and so distorts the face.
    """
    left, top = (round(float(value)) for value in box[:2])
    side = max(2, round(float(max(box[2:] - box[:2]))))
    height, width = frame.shape[:2]
    outside = (max(0, -top), max(0, top + side - height), max(0, -left), max(0, left + side - width))
    if any(outside):
        frame = cv2.copyMakeBorder(frame, *outside, cv2.BORDER_REFLECT_101)
        left, top = left + outside[2], top + outside[0]
    part = frame[top : top + side, left : left + side]
    interpolation = cv2.INTER_AREA if side > size_px else cv2.INTER_CUBIC
    return cv2.resize(part, (size_px, size_px), interpolation=interpolation)
