"""Frames as a judge sees them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmet.judge.frames import bilinear, by_area, read_frames
from cmet.media.video import write_video
from tests.unit.conftest import bars


@pytest.mark.parametrize(
    ("num_frames", "taken"), [(4, [0, 1, 3, 4]), (6, [0, 1, 2, 3, 4, 5]), (12, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5])]
)
def test_frames_are_evenly_spaced_from_the_first(tmp_path: Path, num_frames: int, taken: list[int]) -> None:
    frames = np.stack([np.full((64, 64, 3), 40 * number, np.uint8) for number in range(6)])
    write_video(tmp_path / "grey.mp4", frames, 25)
    (read,) = read_frames([tmp_path / "grey.mp4"], num_frames, 64)
    assert isinstance(read, np.ndarray)
    assert [round(float(frame.mean()) / 40) for frame in read] == taken


@pytest.mark.parametrize("size_px", [32, 56, 112])
def test_bilinear_scaling_is_that_of_pillow(size_px: int) -> None:
    frame = bars("happy", 1)[0]
    expected = np.asarray(Image.fromarray(frame).resize((size_px, size_px), Image.Resampling.BILINEAR))
    assert np.abs(bilinear(frame, size_px).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("resize", [bilinear, by_area])
def test_a_frame_of_the_right_size_stays_as_it_is(resize) -> None:  # type: ignore[no-untyped-def]
    frame = bars("happy", 1)[0]
    assert resize(frame, 64) is frame
