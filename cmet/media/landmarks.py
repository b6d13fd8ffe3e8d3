"""Face landmarks by MediaPipe's Face Landmarker; its model lies in `models`, with a notice."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from functools import cache
from importlib.resources import files
from threading import Lock
from typing import Any

import numpy as np

from cmet.environment import many_imports

NUM_LANDMARKS = 478
"""468 points of the face and 10 of the irises."""


MODEL = files("cmet.media") / "models/face_landmarker.task"

STEP_MS = 40
"""From one frame to the next, as MediaPipe is told: how much it smooths depends on it, and 25 frames/s are the rule."""

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
    finder = _finder(MAX_FACES)
    offset = np.array([region.left, region.top] if region else [0, 0], np.float32)
    for frame in frames:
        part = region.of(frame) if region else frame
        points = [face[:, :2] + offset for face in finder.faces(part)]
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
    with _free_tracker() as tracker:
        tracker.lose_face()
        return _first_faces(tracker, frames)


def still_landmarks(frames: Iterable[np.ndarray]) -> np.ndarray:
    """Landmarks of the face in single frames, each found anew, shape (T, 478, 3) as `track_landmarks` has them."""
    return _first_faces(_finder(1), frames)


def smile_scores(frames: Iterable[np.ndarray]) -> np.ndarray:
    """How much the face in each of some single frames smiles, shape (N,), 0 to 1; NaN where no face was found."""
    landmarker = _smile_reader()
    with _READS_SMILES:
        found = [landmarker.detect(_image(frame)).face_blendshapes for frame in frames]
    return np.array([_smile(faces[0]) if faces else np.nan for faces in found], np.float32)


def _smile(blendshapes: Iterable[Any]) -> float:
    scores = {blendshape.category_name: blendshape.score for blendshape in blendshapes}
    return (scores["mouthSmileLeft"] + scores["mouthSmileRight"]) / 2


def _first_faces(landmarker: "_Finder | _Tracker", frames: Iterable[np.ndarray]) -> np.ndarray:
    nothing = np.full((NUM_LANDMARKS, 3), np.nan, np.float32)
    track = [next(iter(landmarker.faces(frame)), nothing) for frame in frames]
    return np.stack(track) if track else np.zeros((0, NUM_LANDMARKS, 3), np.float32)


class _Finder:
    """Finds faces in single frames."""

    def __init__(self, max_faces: int) -> None:
        self._landmarker = _landmarker("IMAGE", max_faces)
        self._is_looking = Lock()

    def faces(self, frame: np.ndarray) -> list[np.ndarray]:
        """Landmarks of each face, shape (478, 3), pixels; of one frame at a time, whoever asks."""
        with self._is_looking:
            return _pixels(self._landmarker.detect(_image(frame)), frame)


class _Tracker:
    """Follows one face; the time that it is told can only go forward."""

    def __init__(self) -> None:
        self._landmarker = _landmarker("VIDEO", 1)
        self._time_ms = 0

    def faces(self, frame: np.ndarray) -> list[np.ndarray]:
        """Landmarks of the face if there is one, shape (478, 3), pixels."""
        self._time_ms += STEP_MS
        return _pixels(self._landmarker.detect_for_video(_image(frame), self._time_ms), frame)

    def lose_face(self) -> None:
        """Forget the clip before, to the bit; a new tracker would cost as much as several frames."""
        while self.faces(_BLANK):
            pass


_BLANK = np.zeros((256, 256, 3), np.uint8)

_finder = cache(_Finder)

_TRACKERS: list[_Tracker] = []
"""Those that follow nothing now."""

_READS_SMILES = Lock()


@contextmanager
def _free_tracker() -> Iterator[_Tracker]:
    """A tracker for one thread alone: frames of two videos in turn would be one video to it."""
    try:
        tracker = _TRACKERS.pop()
    except IndexError:
        tracker = _Tracker()
    try:
        yield tracker
    finally:
        _TRACKERS.append(tracker)


@cache
def _smile_reader() -> Any:
    return _landmarker("IMAGE", 1, has_blendshapes=True)


def _landmarker(mode: str, max_faces: int, has_blendshapes: bool = False) -> Any:
    with many_imports():
        from mediapipe.tasks.python import BaseOptions, vision

    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_buffer=MODEL.read_bytes()),
        running_mode=vision.RunningMode[mode],
        num_faces=max_faces,
        output_face_blendshapes=has_blendshapes,
    )
    landmarker = vision.FaceLandmarker.create_from_options(options)
    # it lives as long as the process, at whose end it would close itself by threads that are gone by then
    landmarker.close = lambda: None
    return landmarker


def _image(frame: np.ndarray) -> Any:
    from mediapipe import Image, ImageFormat

    return Image(image_format=ImageFormat.SRGB, data=np.ascontiguousarray(frame))


def _pixels(result: Any, frame: np.ndarray) -> list[np.ndarray]:
    height, width = frame.shape[:2]
    scale = np.array([width, height, width], np.float32)
    return [
        np.array([(point.x, point.y, point.z) for point in face], np.float32) * scale for face in result.face_landmarks
    ]
