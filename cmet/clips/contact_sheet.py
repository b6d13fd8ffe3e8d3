"""Many clips in one small picture: the middle frame of each, in labelled rows and columns."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from cmet.media.scaling import scaled
from cmet.media.video import VideoFile

GAP_PX = 2
HEADER_PX = 18
FONT, FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.36
PAPER, INK, EMPTY = (255, 255, 255), (60, 60, 60), 235
QUALITIES = (85, 75, 65, 50, 35, 20)


def contact_sheet(cells: pd.DataFrame, tile_px: int) -> np.ndarray:
    """Draw the middle frame of every clip at its place.

    Args:
        cells: Columns `row`, `column` (labels) and `video` (path). Rows and columns appear in the order of their
            categories, or in which they come first; a place that no clip has stays grey, of several clips in a place
            the first is taken.
        tile_px: Width and height of a frame on the sheet.

    Returns:
        Shape (H, W, 3), uint8 RGB.

    Raises:
        ClipError: A video cannot be read.
    """
    rows, columns = (_labels(cells[name]) for name in ("row", "column"))
    margin = max((_width_px(str(row)) for row in rows), default=0) + 3 * GAP_PX
    pitch = tile_px + GAP_PX
    sheet = np.full((HEADER_PX + len(rows) * pitch, margin + len(columns) * pitch, 3), PAPER, np.uint8)
    videos = cells.drop_duplicates(["row", "column"]).set_index(["row", "column"])["video"]
    for number, column in enumerate(columns):
        _write(sheet, str(column), margin + number * pitch, HEADER_PX - 6)
    for down, row in enumerate(rows):
        top = HEADER_PX + down * pitch
        _write(sheet, str(row), GAP_PX, top + tile_px // 2)
        for right, column in enumerate(columns):
            left = margin + right * pitch
            video = videos.get((row, column))
            tile = EMPTY if video is None else middle_frame(Path(video), tile_px)
            sheet[top : top + tile_px, left : left + tile_px] = tile
    return sheet


def _labels(cells: pd.Series) -> list[str]:
    return list(cells.cat.categories if isinstance(cells.dtype, pd.CategoricalDtype) else cells.unique())


def middle_frame(video: Path, size_px: int) -> np.ndarray:
    """The frame in the middle of a clip, shape (size_px, size_px, 3), uint8 RGB."""
    file = VideoFile(video)
    frame = next(file.frames_at([len(file) // 2]))
    return scaled(frame, size_px, size_px, cv2.INTER_AREA)


def to_jpeg(picture: np.ndarray, max_bytes: int) -> bytes:
    """An RGB picture as JPEG, in the best of a few qualities that stays within a size.

    Raises:
        ValueError: Even the lowest quality takes more.
    """
    for quality in QUALITIES:
        _, encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        if encoded.size <= max_bytes:
            return encoded.tobytes()
    size = f"{picture.shape[1]}x{picture.shape[0]}"
    raise ValueError(f"a picture of {size} takes {encoded.size} bytes; at most {max_bytes} are allowed")


def _width_px(text: str) -> int:
    return cv2.getTextSize(text, FONT, FONT_SCALE, 1)[0][0]


def _write(sheet: np.ndarray, text: str, left: int, baseline: int) -> None:
    cv2.putText(sheet, text, (left, baseline), FONT, FONT_SCALE, INK, 1, cv2.LINE_AA)
