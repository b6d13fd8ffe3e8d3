"""Faces as networks of single pictures are shown them."""

from pathlib import Path

import numpy as np
import pytest

from cmet.errors import ClipError
from cmet.media.video import write_video
from cmet.scores.metrics.seen import Box, boxed, seen_faces, spaced_frames


def test_frames_are_spaced_from_the_first_to_the_last() -> None:
    assert spaced_frames(3) == [0, 1, 2]
    assert spaced_frames(76) == list(range(0, 76, 5))


def test_a_box_fills_the_longer_side_and_lies_in_the_middle_of_black() -> None:
    frame = np.full((60, 80, 3), 90, np.uint8)
    frame[10:30, 20:60] = 200
    square = boxed(frame, Box(20, 10, 40, 20), 20)
    assert (square[5:15] == 200).all()
    assert (square[[4, 15]] == 0).all()


def test_what_of_a_box_is_outside_the_frame_is_not_shown() -> None:
    frame = np.full((60, 80, 3), 90, np.uint8)
    # ten pixels of its twenty are in the frame, upright
    assert (boxed(frame, Box(70, 20, 20, 20), 20)[:, :, 0] > 0).sum() == 200
    assert not boxed(frame, Box(90, 20, 20, 20), 20).any()
    assert not boxed(frame, Box(-30, 20, 20, 20), 20).any()


def test_a_clip_without_a_face_is_named(tmp_path: Path) -> None:
    write_video(tmp_path / "grey.mp4", [np.full((128, 128, 3), 90, np.uint8)] * 4, 25)
    with pytest.raises(ClipError, match=r"no_face: grey\.mp4 shows no face in the 4 frames looked at"):
        seen_faces(tmp_path / "grey.mp4")
