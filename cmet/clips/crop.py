"""The square around a face that a clip is cut to.

Source: the preprocessing of the first-order motion model, which EDTalk and C-MET use (crop-video.py, crop_vox.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from cmet.clips.product import MARGIN
from cmet.errors import ClipError
from cmet.media.scaling import scaled

MIN_IOU = 0.25
"""A face continues a trajectory whose first box it overlaps by more than this."""

MAX_SHARE_WITH_TWO = 0.2
"""Share of frames in which a second face may show (a poster, a false alarm) before an edit calls it two people."""


@dataclass(frozen=True, eq=False)
class FaceTrack:
    """Boxes (left, top, right, bottom) of one face in the frames that were looked at."""

    boxes: list[np.ndarray]

    def __len__(self) -> int:
        """Number of frames that show the face."""
        return len(self.boxes)

    def size(self) -> float:
        """Mean area in square pixels."""
        return float(np.mean([_area(box) for box in self.boxes]))


def face_tracks(faces: Sequence[Sequence[np.ndarray]]) -> list[FaceTrack]:
    """Link the faces of the frames looked at, the longest track first, the larger of equally long ones.

    Differs from the first-order motion model, which ends a track at the first frame that misses it: ours looks at
    few frames.
    """
    tracks: list[FaceTrack] = []
    for found in faces:
        free = list(tracks)
        for box in found:
            best = max(free, key=lambda track: iou(track.boxes[0], box), default=None)
            if best is None or iou(best.boxes[0], box) <= MIN_IOU:
                tracks.append(FaceTrack([box]))
            else:
                best.boxes.append(box)
                free.remove(best)
    return sorted(tracks, key=lambda track: (-len(track), -track.size()))


def choose_track(tracks: Sequence[FaceTrack], num_looks: int, min_face_ratio: float) -> FaceTrack:
    """The face of the clip.

    Raises:
        ClipError: `no_face`.
    """
    ratio = len(tracks[0]) / num_looks if tracks else 0.0
    if ratio < min_face_ratio or not tracks:
        seen = f"a face in {ratio:.0%} of sampled frames"
        if len(tracks) > 1:
            seen = f"faces in {len(tracks)} places, the steadiest in {ratio:.0%} of sampled frames"
        raise ClipError("no_face", f"{seen}; at least {min_face_ratio:.0%} is needed")
    return tracks[0]


def iou(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two boxes."""
    common = np.concatenate([np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])])
    if (common[2:] <= common[:2]).any():
        return 0.0
    return _area(common) / (_area(one) + _area(other) - _area(common))


def square_around(boxes: Sequence[np.ndarray]) -> np.ndarray:
    """Static square (left, top, right, bottom) around all face boxes of a clip, enlarged by a tenth."""
    stack = np.stack(boxes)
    left, top = stack[:, :2].min(axis=0)
    right, bottom = stack[:, 2:].max(axis=0)
    width, height = right - left, bottom - top
    grow_x = max(MARGIN, ((1 + 2 * MARGIN) * height - width) / (2 * width))
    grow_y = max(MARGIN, ((1 + 2 * MARGIN) * width - height) / (2 * height))
    return np.array([left - grow_x * width, top - grow_y * height, right + grow_x * width, bottom + grow_y * height])


def outside_share(box: np.ndarray, width: int, height: int) -> float:
    """Share of a box that lies outside of the picture."""
    inside = np.clip(box, 0, [width, height, width, height])
    return 1 - _area(inside) / _area(box)


@dataclass(frozen=True)
class Cut:
    """Which rows and columns of a frame make the picture, and where it lies in the frame."""

    rows: np.ndarray
    columns: np.ndarray
    top: int
    """Row of the frame at which the picture begins; above the frame, where mirrored rows come first."""
    left: int
    """Column, likewise."""

    @cached_property
    def _is_whole(self) -> bool:
        """Whether it lies in the frame, so that no row and no column comes twice."""
        return bool((np.diff(self.rows) == 1).all() and (np.diff(self.columns) == 1).all())

    def part(self, left: int, top: int, right: int, bottom: int) -> "Cut":
        """What lies between these columns and rows of the picture."""
        return Cut(self.rows[top:bottom], self.columns[left:right], self.top + top, self.left + left)

    def bounds(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of all pixels that are read; right and bottom are past the last."""
        rows, columns = self.rows, self.columns
        return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1

    def apply(self, part: np.ndarray, size_px: int, left: int = 0, top: int = 0) -> np.ndarray:
        """Cut the picture out and scale it to a square.

        Args:
            part: A frame (H, W, 3), or the part of it that begins at `left` and `top`.
            size_px: Width and height of the result.
            left: Column of the frame at which the part begins.
            top: Row of the frame at which the part begins.
        """
        part = _taken(part, self.rows, top, 0, self._is_whole)
        part = _taken(part, self.columns, left, 1, self._is_whole)
        interpolation = cv2.INTER_AREA if min(part.shape[:2]) > size_px else cv2.INTER_CUBIC
        return scaled(part, size_px, size_px, interpolation)


def mirrored_cut(box: np.ndarray, width: int, height: int) -> Cut:
    """A square; where it leaves the frame the picture is mirrored, so that the face keeps its proportions."""
    side = max(2, round(float(max(box[2:] - box[:2]))))
    left, top = (round(float(value)) for value in box[:2])
    return Cut(_mirrored(top, side, height), _mirrored(left, side, width), top, left)


def clipped_cut(box: np.ndarray, width: int, height: int) -> Cut:
    """The box up to the edge of the frame, as the official code cuts it: near the edge the face gets stretched."""
    left, top, right, bottom = (int(value) for value in box)
    left, top = max(left, 0), max(top, 0)
    return Cut(np.arange(top, min(bottom, height)), np.arange(left, min(right, width)), top, left)


CROP_RULES: dict[str, Callable[[np.ndarray, int, int], Cut]] = {
    "fomm-reflect-1": mirrored_cut,
    "fomm-clip-1": clipped_cut,
}
"""From the enlarged box and the size of the frame to the pixels; a name holds its version."""


def _mirrored(start: int, length: int, size: int) -> np.ndarray:
    """Positions in a line of `size` pixels that goes on mirrored past both ends; the edge pixel is not repeated."""
    period = max(1, 2 * size - 2)
    position = np.arange(start, start + length) % period
    return np.minimum(position, period - position)


def _taken(part: np.ndarray, positions: np.ndarray, start: int, axis: int, is_whole: bool) -> np.ndarray:
    """Like np.take of positions in a part that begins at `start`, without a copy where they follow each other."""
    if not is_whole:
        return np.take(part, positions - start, axis=axis)
    span = slice(int(positions[0]) - start, int(positions[-1]) + 1 - start)
    return part[span] if axis == 0 else part[:, span]


def _area(box: np.ndarray) -> float:
    return float(np.prod(box[2:] - box[:2]))
