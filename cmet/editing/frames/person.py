"""The person that is drawn, where that is not the one of the video: a picture, or a frame of another video."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from cmet.clips.crop import CROP_RULES, square_around
from cmet.editing.frames.source import counted_frames
from cmet.editing.messages import told_of
from cmet.errors import UserError
from cmet.media.landmarks import find_faces, small_face_region
from cmet.media.pictures import is_picture, read_picture
from cmet.media.video import VideoFile

OPTION = "--source"

SMALL_FACE_STEP = 25
"""Frames from one look for a small face to the next: it takes as long as looking through a second of video."""


def first_picture(path: Path) -> np.ndarray:
    """A picture, or the first frame of a video, shape (H, W, 3), uint8 RGB, upright.

    Raises:
        UserError: It cannot be decoded, or is too large.
    """
    with told_of(path, OPTION):
        return next(_pictures(path))


def face_of(path: Path, picture_px: int, crop_rule: str, is_quiet: bool = True) -> np.ndarray:
    """The face square, cut as from a video and of this size: of a picture, or of the first frame that shows a face.

    Raises:
        UserError: It cannot be decoded, is too large, or does not show exactly one face.
    """
    with told_of(path, OPTION):
        for picture in _pictures(path, is_quiet):
            (boxes,) = find_faces([picture])
            if boxes:
                return _face_square(path, picture, boxes, picture_px, crop_rule)
        for picture in islice(_pictures(path, is_quiet), 0, None, SMALL_FACE_STEP):
            region = small_face_region([picture])
            (boxes,) = find_faces([picture], region) if region else ([],)
            if boxes:
                return _face_square(path, picture, boxes, picture_px, crop_rule)
    raise UserError(
        f"{OPTION} {path}: no face found; name a picture that shows one, or take it whole with `--framing as-is`"
    )


def _face_square(
    path: Path, picture: np.ndarray, boxes: list[np.ndarray], picture_px: int, crop_rule: str
) -> np.ndarray:
    if len(boxes) > 1:
        raise UserError(f"{OPTION} {path}: {len(boxes)} faces; crop it to the one to draw")
    height, width = picture.shape[:2]
    return CROP_RULES[crop_rule](square_around(boxes), width, height).apply(picture, picture_px)


def _pictures(path: Path, is_quiet: bool = True) -> Iterator[np.ndarray]:
    """The frames of a video, or the one picture."""
    if is_picture(path):
        yield read_picture(path)
        return
    file = VideoFile(path)
    yield from counted_frames(file.frames_at(range(len(file))), "looking for the person", len(file), is_quiet)
