"""Faces in evenly spaced frames of a clip, as networks of single pictures are shown them."""

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from cmet.errors import ClipError
from cmet.media.landmarks import still_landmarks
from cmet.media.scaling import scaled
from cmet.media.video import VideoFile

NUM_FRAMES = 16


class SeenFace(NamedTuple):
    """A frame, RGB uint8 (H, W, 3), and the landmarks of the face in it, (478, 3), pixels."""

    frame: np.ndarray
    points: np.ndarray


class Box(NamedTuple):
    """A part of a frame, pixels; it may reach beyond the frame."""

    left: float
    top: float
    width: float
    height: float


def spaced_frames(num_frames: int) -> list[int]:
    """At most `NUM_FRAMES` evenly spaced frames of a clip, from the first to the last."""
    return sorted({round(index) for index in np.linspace(0, num_frames - 1, NUM_FRAMES)})


def seen_faces(video: Path) -> list[SeenFace]:
    """The faces in the spaced frames of a clip, each found anew.

    Raises:
        ClipError: `no_face` in any of them, or the video cannot be read.
    """
    file = VideoFile(video)
    frames = list(file.frames_at(spaced_frames(len(file))))
    faces = [
        SeenFace(frame, points)
        for frame, points in zip(frames, still_landmarks(frames), strict=True)
        if np.isfinite(points).all()
    ]
    if not faces:
        raise ClipError("no_face", f"{video.name} shows no face in the {len(frames)} frames looked at")
    return faces


def boxed(frame: np.ndarray, box: Box, size_px: int) -> np.ndarray:
    """What a box shows of a frame, in the middle of a black square, shape (size_px, size_px, 3), uint8."""
    # a slice may end behind the last pixel, but not before the first
    rows = slice(max(0, int(box.top)), max(0, int(box.top + box.height)))
    columns = slice(max(0, int(box.left)), max(0, int(box.left + box.width)))
    square = np.zeros((size_px, size_px, 3), np.uint8)
    part = frame[rows, columns]
    if part.size:
        side = max(part.shape[:2])
        wide, high = (max(1, round(length * size_px / side)) for length in part.shape[1::-1])
        down, right = (size_px - high) // 2, (size_px - wide) // 2
        how = cv2.INTER_AREA if side > size_px else cv2.INTER_LINEAR
        square[down : down + high, right : right + wide] = scaled(part, wide, high, how)
    return square
