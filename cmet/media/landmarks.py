"""Face landmarks by MediaPipe's face mesh; its models ship in the wheel."""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import numpy as np

NUM_LANDMARKS = 478
"""468 points of the face and 10 of the irises."""


MAX_FACES = 4
"""Faces looked for in one frame."""


def find_faces(frames: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
    """Boxes (left, top, right, bottom) in pixels around the faces of single, unrelated frames, `MAX_FACES` at most."""
    mesh = _face_mesh(static_image_mode=True, max_num_faces=MAX_FACES, refine_landmarks=False)
    for frame in frames:
        points = [_pixels(face, frame)[:, :2] for face in mesh.process(frame).multi_face_landmarks or []]
        yield [np.concatenate([xy.min(axis=0), xy.max(axis=0)]) for xy in points]


def track_landmarks(frames: Iterable[np.ndarray]) -> np.ndarray:
    """Landmarks of one face through consecutive frames.

    Tracking depends on the frame it starts at, so a clip is always tracked from its first frame, and by a tracker that
    follows no face yet.

    Args:
        frames: RGB uint8 pictures (H, W, 3).

    Returns:
        Shape (T, 478, 3), float32: x and y in pixels, z in the same unit, smaller is nearer. NaN where no face
        was found.
    """
    mesh = _face_mesh(static_image_mode=False, max_num_faces=1, refine_landmarks=True)
    # the tracker loses the face of the clip before; a new one would cost as much as several frames
    while mesh.process(_BLANK).multi_face_landmarks:
        pass
    return _landmarks(mesh, frames)


def still_landmarks(frames: Iterable[np.ndarray]) -> np.ndarray:
    """Landmarks of the face in single frames, each found anew, shape (T, 478, 3) as `track_landmarks` has them."""
    return _landmarks(_face_mesh(static_image_mode=True, max_num_faces=1, refine_landmarks=True), frames)


def _landmarks(mesh: Any, frames: Iterable[np.ndarray]) -> np.ndarray:
    track = []
    for frame in frames:
        faces = mesh.process(frame).multi_face_landmarks
        track.append(_pixels(faces[0], frame) if faces else np.full((NUM_LANDMARKS, 3), np.nan, np.float32))
    return np.stack(track) if track else np.zeros((0, NUM_LANDMARKS, 3), np.float32)


_BLANK = np.zeros((256, 256, 3), np.uint8)


@cache
def _face_mesh(**options: Any) -> Any:
    from mediapipe.python.solutions.face_mesh import FaceMesh

    return FaceMesh(**options)


def _pixels(face: Any, frame: np.ndarray) -> np.ndarray:
    height, width = frame.shape[:2]
    points = np.array([(point.x, point.y, point.z) for point in face.landmark], np.float32)
    return points * np.array([width, height, width], np.float32)
