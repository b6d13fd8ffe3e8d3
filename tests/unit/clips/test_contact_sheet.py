from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from cmet.clips.contact_sheet import EMPTY, GAP_PX, HEADER_PX, contact_sheet, middle_frame, to_jpeg
from cmet.errors import ClipError
from cmet.media.video import write_video

TILE_PX = 32


def write_grey(path: Path, *levels: int) -> Path:
    write_video(path, [np.full((64, 64, 3), level, np.uint8) for level in levels], 25, crf=0)
    return path


def test_the_middle_frame_is_taken(tmp_path: Path) -> None:
    frame = middle_frame(write_grey(tmp_path / "clip.mp4", 30, 90, 150, 210, 250), 16)
    assert frame.shape == (16, 16, 3)
    assert abs(float(frame.mean()) - 150) < 3


def test_every_clip_is_at_its_row_and_column_and_an_empty_place_is_grey(tmp_path: Path) -> None:
    videos = [write_grey(tmp_path / f"{level}.mp4", level) for level in (40, 80, 120)]
    places = [("b", "x"), ("b", "y"), ("a", "y")]
    cells = pd.DataFrame([(row, column, video) for (row, column), video in zip(places, videos, strict=True)])
    sheet = contact_sheet(cells.set_axis(["row", "column", "video"], axis=1), TILE_PX)
    tiles = sheet[HEADER_PX:, -2 * (TILE_PX + GAP_PX) :]
    middles = tiles[TILE_PX // 2 :: TILE_PX + GAP_PX, TILE_PX // 2 :: TILE_PX + GAP_PX, 0]
    assert np.allclose(middles, [[40, 80], [EMPTY, 120]], atol=3)


def test_the_first_clip_of_a_place_is_taken(tmp_path: Path) -> None:
    videos = [write_grey(tmp_path / f"{level}.mp4", level) for level in (40, 80)]
    sheet = contact_sheet(pd.DataFrame({"row": "a", "column": "x", "video": videos}), TILE_PX)
    assert abs(int(sheet[-TILE_PX // 2, -TILE_PX // 2, 0]) - 40) < 3


def test_a_clip_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    cells = pd.DataFrame({"row": ["a"], "column": ["x"], "video": [tmp_path / "gone.mp4"]})
    with pytest.raises(ClipError, match="missing_video"):
        contact_sheet(cells, TILE_PX)


def test_a_jpeg_stays_within_the_size_that_is_asked_for() -> None:
    picture = np.random.default_rng([0]).integers(0, 256, (64, 64, 3), np.uint8)
    large, small = to_jpeg(picture, 100_000), to_jpeg(picture, 2_500)
    assert len(small) <= 2_500 < len(large)
    assert cv2.imdecode(np.frombuffer(small, np.uint8), cv2.IMREAD_COLOR).shape == picture.shape
    with pytest.raises(ValueError, match="a picture of 64x64 takes"):
        to_jpeg(picture, 100)
