"""Words drawn on pictures: the mark of an edited video, and what stands above two that are compared."""

from collections.abc import Iterable, Iterator
from functools import lru_cache

import cv2
import numpy as np

MARK = "AI-edited"
FONT = cv2.FONT_HERSHEY_DUPLEX

MARK_SHARE, MIN_LETTER_PX = 0.03, 9
"""Height of its letters: a share of the shorter side of a picture, and at least as high as can be read."""

INK, PLATE = 255, 20
PLATE_SHARE = 0.6
"""How much of the plate behind the letters hides what lies below."""


def marked(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The frames with `MARK` in the upper left corner, which is readable over anything."""
    for frame in frames:
        height, width = frame.shape[:2]
        levels, share = mark_of(height, width)
        margin = max(2, min(height, width) // 40)
        place = np.s_[margin : margin + levels.shape[0], margin : margin + levels.shape[1]]
        result = frame.copy()
        below = result[place].astype(np.float32)
        # a picture smaller than its mark shows a part of it
        over, weight = (one[: below.shape[0], : below.shape[1], None] for one in (levels, share))
        result[place] = np.rint(below + weight * (over - below)).astype(np.uint8)
        yield result


@lru_cache(maxsize=8)
def mark_of(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Grey levels of the mark for pictures of this size, and how much each hides of what is below; both (h, w)."""
    letters = lettering(MARK, max(MIN_LETTER_PX, round(MARK_SHARE * min(height, width))))
    pad = max(3, letters.shape[0] // 3)
    letters = np.pad(letters, ((pad // 2, pad // 2), (pad, pad)))
    return PLATE + letters * (INK - PLATE), PLATE_SHARE + letters * (1 - PLATE_SHARE)


def lettering(text: str, letter_px: int) -> np.ndarray:
    """A text as the share of ink in each pixel, shape (h, w), 0 to 1.

    Args:
        text: In ASCII: the font has no other letters.
        letter_px: Height of a capital.
    """
    thickness = max(1, round(letter_px / 12))
    scale = cv2.getFontScaleFromHeight(FONT, letter_px, thickness)
    (width, height), below = cv2.getTextSize(text, FONT, scale, thickness)
    canvas = np.zeros((height + below + 2 * thickness, width + 2 * thickness), np.uint8)
    cv2.putText(canvas, text, (thickness, height + thickness), FONT, scale, 255, thickness, cv2.LINE_AA)
    return canvas.astype(np.float32) / 255
