"""The face square of a video: cut out for a network, and put back where it was."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from cmet.clips.crop import (
    CROP_RULES,
    MAX_SHARE_WITH_TWO,
    MIN_IOU,
    Cut,
    FaceTrack,
    choose_track,
    face_tracks,
    iou,
    square_around,
)
from cmet.editing.messages import frames_said
from cmet.errors import ClipError
from cmet.media.landmarks import Region, find_faces, small_face_region
from cmet.media.scaling import scaled

MIN_FACE_RATIO = 0.5

NUM_LOOKS = 12
"""Frames in which faces are counted where no square is looked for, or are looked for again where they are small."""

FADE_FRAMES = 5
"""Frames over which an edit fades towards one that does not show the face."""

LOOK_EVERY = 5
"""Frames from one look for a face to the next."""

FEATHER = 0.08
"""Width of the seam as a share of what is put back: the margin around the face."""


FramesAt = Callable[[list[int]], Iterable[np.ndarray]]
"""From ascending indices to frames."""

Sides = tuple[float, float, float, float]
"""Left, top, right and bottom as shares of a square."""


@dataclass(frozen=True, eq=False)
class FaceSquare:
    """Where the face of a video is."""

    cut: Cut
    face_ratio: float
    """Share of the frames that show the face."""
    is_seen_T: np.ndarray
    """Whether a frame shows the face."""

    @classmethod
    def whole(cls, width: int, height: int, num_frames: int, face_ratio: float) -> "FaceSquare":
        """All of a video that is a face square already."""
        return cls(Cut(np.arange(height), np.arange(width), 0, 0), face_ratio, np.ones(num_frames, bool))

    def picture(self, frame: np.ndarray, picture_px: int) -> np.ndarray:
        """The square of a frame, at this size."""
        return self.cut.apply(frame, picture_px)

    @property
    def first_seen(self) -> int:
        """First frame that shows the face."""
        return int(self.is_seen_T.argmax())

    @cached_property
    def presence_T(self) -> np.ndarray:
        """Weight of the edit per frame; see `presence`."""
        return presence(self.is_seen_T)

    def part(self, view: Sides) -> Cut:
        """What a part of the square shows of a frame."""
        return self.cut.part(*self._bounds(view))

    def patch(self, view: Sides) -> "Patch":
        """Where a part of the square lies in the frame."""
        left, top, right, bottom = self._bounds(view)
        x, y = self.cut.left, self.cut.top
        return Patch(x + left, y + top, x + right, y + bottom)

    def _bounds(self, view: Sides) -> tuple[int, int, int, int]:
        left, top, right, bottom = view
        width, height = len(self.cut.columns), len(self.cut.rows)
        return round(left * width), round(top * height), round(right * width), round(bottom * height)


def looks(num_frames: int) -> list[int]:
    """Frames in which a face is looked for."""
    return sorted({*range(0, num_frames, LOOK_EVERY), num_frames - 1})


def find_square(frames_at: FramesAt, num_frames: int, width: int, height: int, crop_rule: str) -> FaceSquare:
    """The square around the one face of a video, as clips are cut.

    Of the frames between two looks, all are looked at where one look shows the face and the other does not. A face that
    is lost for less than `LOOK_EVERY` frames between two looks that show it is not missed.

    Args:
        frames_at: Frames of the video.
        num_frames: Of the video.
        width: Of a frame.
        height: Of a frame.
        crop_rule: How it is cut where it leaves the frame, one of `CROP_RULES`.

    Raises:
        ClipError: `no_face` or `two_faces`.
    """
    looked_at = looks(num_frames)
    faces, region = look_for_faces(frames_at, looked_at)
    refuse_two_faces(faces)
    track = choose_track(face_tracks(faces), len(faces), MIN_FACE_RATIO)
    seen_T = np.interp(np.arange(num_frames), looked_at, _is_seen(track, faces))
    is_seen_T, unsure = seen_T == 1, np.flatnonzero((seen_T > 0) & (seen_T < 1))
    if len(unsure):
        is_seen_T[unsure] = [_shows(track, found) for found in find_faces(frames_at(unsure.tolist()), region)]
    cut = CROP_RULES[crop_rule](square_around(track.boxes), width, height)
    return FaceSquare(cut, float(is_seen_T.mean()), is_seen_T)


def look_for_faces(frames_at: FramesAt, indices: list[int]) -> tuple[list[list[np.ndarray]], Region | None]:
    """Boxes in each of these frames; where too few show any, also the part of them in which smaller ones were found."""
    faces = list(find_faces(frames_at(indices)))
    if sum(map(bool, faces)) >= MIN_FACE_RATIO * len(faces):
        return faces, None
    some = np.unique(np.linspace(0, len(indices) - 1, NUM_LOOKS).astype(int))
    region = small_face_region(frames_at([indices[number] for number in some]))
    return (faces, None) if region is None else (list(find_faces(frames_at(indices), region)), region)


def _is_seen(track: FaceTrack, faces: Sequence[Sequence[np.ndarray]]) -> list[float]:
    own = {id(box) for box in track.boxes}
    return [float(any(id(box) in own for box in found)) for found in faces]


def _shows(track: FaceTrack, found: Sequence[np.ndarray]) -> bool:
    """Whether one of the boxes of a frame continues a track."""
    return any(iou(track.boxes[0], box) > MIN_IOU for box in found)


def presence(is_found: np.ndarray) -> np.ndarray:
    """Weight of the edit per frame: 1 where the face is seen, falling to 0 towards frames where it is not."""
    if is_found.all():
        return np.ones(len(is_found), np.float32)
    lost = np.flatnonzero(~is_found)
    frames = np.arange(len(is_found))
    after = np.clip(np.searchsorted(lost, frames), 0, len(lost) - 1)
    before = np.clip(after - 1, 0, None)
    distance = np.minimum(np.abs(frames - lost[before]), np.abs(frames - lost[after]))
    return np.minimum(distance / FADE_FRAMES, 1).astype(np.float32)


def refuse_two_faces(faces: Sequence[Sequence[np.ndarray]]) -> None:
    """Make sure that there is one face.

    Args:
        faces: Boxes in each frame looked at.

    Raises:
        ClipError: `no_face` or `two_faces`.
    """
    if not any(faces):
        raise ClipError("no_face", f"no face found in {frames_said(len(faces))}; if it is small, crop the video to it")
    if sum(len(found) > 1 for found in faces) > MAX_SHARE_WITH_TWO * len(faces):
        raise ClipError("two_faces", "the video shows two faces; crop it to the one to change")


@dataclass(frozen=True)
class Patch:
    """A rectangle of a frame that pictures are put on; what lies outside of the frame is left out."""

    left: int
    top: int
    right: int
    bottom: int

    def onto(self, frame: np.ndarray, picture: np.ndarray, weight: float) -> np.ndarray:
        """A frame with a picture of the rectangle on it, with a soft seam.

        Args:
            frame: Shape (H, W, 3), uint8; not changed.
            picture: Of any size.
            weight: 0 leaves the frame as it is, 1 shows the picture.
        """
        height, width = frame.shape[:2]
        left, top, right, bottom = max(self.left, 0), max(self.top, 0), min(self.right, width), min(self.bottom, height)
        if not weight or left >= right or top >= bottom:
            return frame
        inside = np.s_[top - self.top : bottom - self.top, left - self.left : right - self.left]
        scaled = resized(picture, self.right - self.left, self.bottom - self.top)[inside]
        result = frame.copy()
        result[top:bottom, left:right] = blended(
            frame[top:bottom, left:right], scaled, weight * self.mask[inside][..., None]
        )
        return result

    @cached_property
    def mask(self) -> np.ndarray:
        """Share of the picture in each pixel of the rectangle: near 0 at its edges, 1 inside of the seam."""
        height, width = self.bottom - self.top, self.right - self.left
        seam = max(1.0, FEATHER * min(height, width))
        return _ramp(height, seam)[:, None] * _ramp(width, seam)


def _ramp(length: int, seam: float) -> np.ndarray:
    inwards = np.arange(length) + 0.5
    share = np.clip(np.minimum(inwards, inwards[::-1]) / seam, 0, 1).astype(np.float32)
    return share * share * (3 - 2 * share)


def blended(below: np.ndarray, above: np.ndarray, share: np.ndarray | float) -> np.ndarray:
    """uint8 picture between two of one shape."""
    mixed = below + share * (above.astype(np.float32) - below)
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def resized(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """The picture at another size."""
    if picture.shape[:2] == (height, width):
        return picture
    is_smaller = width < picture.shape[1] and height < picture.shape[0]
    return scaled(picture, width, height, cv2.INTER_AREA if is_smaller else cv2.INTER_CUBIC)


def pasted(
    frames: Iterable[np.ndarray], pictures: Iterable[np.ndarray], weights: np.ndarray, patch: Patch
) -> Iterator[np.ndarray]:
    """Frames with pictures put on them; as many as there are weights."""
    for frame, picture, weight in zip(frames, pictures, weights.tolist(), strict=True):
        yield patch.onto(frame, picture, weight)


def faded(
    frames: Iterable[np.ndarray], pictures: Iterable[np.ndarray], weights: np.ndarray, part: Cut
) -> Iterator[np.ndarray]:
    """The pictures themselves; where the weight falls they give way to what the frame shows in this part."""
    for frame, picture, weight in zip(frames, pictures, weights.tolist(), strict=True):
        yield picture if weight == 1 else blended(part.apply(frame, len(picture)), picture, weight)
