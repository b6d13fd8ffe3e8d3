"""Face landmarks by MediaPipe's face mesh; its models ship in the wheel."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from functools import cache
from typing import Any

import numpy as np

NUM_LANDMARKS = 478
"""468 points of the face and 10 of the irises."""


MAX_FACES = 4
"""Faces looked for in one frame."""


TILES_PER_SIDE = (2, 4)
"""Into how many parts the longer side of a frame is cut, one after the other, where small faces are looked for."""

MIN_TILE_PX = 256
"""Smaller tiles are not looked at: what they show of a face is not enough to change it."""

REACH = 1.5
"""How far a region goes beyond the faces found, in sides of the largest one: heads move."""


@dataclass(frozen=True)
class Region:
    """A part of a frame; right and bottom are past the last pixel."""

    left: int
    top: int
    right: int
    bottom: int

    def of(self, frame: np.ndarray) -> np.ndarray:
        """The part of this frame."""
        return np.ascontiguousarray(frame[self.top : self.bottom, self.left : self.right])

    def put_back(self, frame: np.ndarray, part: np.ndarray) -> np.ndarray:
        """The frame with another picture of the part."""
        if part.shape == frame.shape:
            return part
        whole = frame.copy()
        whole[self.top : self.bottom, self.left : self.right] = part
        return whole


def find_faces(frames: Iterable[np.ndarray], region: Region | None = None) -> Iterator[list[np.ndarray]]:
    """Boxes (left, top, right, bottom) in pixels around the faces of single, unrelated frames, `MAX_FACES` at most.

    Args:
        frames: RGB uint8 pictures (H, W, 3).
        region: Where to look; boxes are those of the frame nevertheless.
    """
    mesh = _face_mesh(static_image_mode=True, max_num_faces=MAX_FACES, refine_landmarks=False)
    offset = np.array([region.left, region.top] if region else [0, 0], np.float32)
    for frame in frames:
        part = region.of(frame) if region else frame
        points = [_pixels(face, part)[:, :2] + offset for face in mesh.process(part).multi_face_landmarks or []]
        yield [np.concatenate([xy.min(axis=0), xy.max(axis=0)]) for xy in points]


def small_face_region(frames: Iterable[np.ndarray]) -> Region | None:
    """Where the faces are that are too small to be found in whole frames; None where there are none.

    MediaPipe scales what it looks at to 128 pixels, so a face is found from about a tenth of the longer side on, and in
    the smallest tiles from a fortieth on.

    Args:
        frames: Some of a video.
    """
    regions = [_around(faces, *frame.shape[1::-1]) for frame in frames if (faces := _small_faces(frame))]
    if not regions:
        return None
    left, top, right, bottom = zip(*map(astuple, regions), strict=True)
    return Region(min(left), min(top), max(right), max(bottom))


def _small_faces(frame: np.ndarray) -> list[np.ndarray]:
    height, width = frame.shape[:2]
    for side in (max(width, height) // num_tiles for num_tiles in TILES_PER_SIDE):
        tiles = _tiles(width, height, side) if side >= MIN_TILE_PX else []
        boxes = [box for tile in tiles for found in find_faces([frame], tile) for box in found]
        if boxes:
            return boxes
    return []


def _around(faces: Sequence[np.ndarray], width: int, height: int) -> Region:
    reach = REACH * max(float(max(box[2:] - box[:2])) for box in faces)
    left, top = np.clip(np.min(faces, axis=0)[:2] - reach, 0, None).astype(int).tolist()
    right, bottom = np.clip(np.max(faces, axis=0)[2:] + reach, None, [width, height]).astype(int).tolist()
    return Region(left, top, right, bottom)


def _tiles(width: int, height: int, side: int) -> list[Region]:
    """Squares that overlap by half at least and cover a frame."""

    def starts(length: int) -> list[int]:
        steps = max(0, -(-(length - side) // (side // 2)))
        return np.linspace(0, max(0, length - side), steps + 1).astype(int).tolist()

    return [
        Region(left, top, min(width, left + side), min(height, top + side))
        for top in starts(height)
        for left in starts(width)
    ]


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
