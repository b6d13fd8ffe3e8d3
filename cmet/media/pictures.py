"""Picture files, such as PNG and JPEG."""

import warnings
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from cmet.errors import ClipError
from cmet.media.files import plain_name

MAX_PICTURE_PIXELS = 120_000_000
"""Pixels of a picture file that is read; it takes 7 bytes for each. A few MB of PNG can unfold to gigabytes."""


def is_picture(path: Path) -> bool:
    """Whether a file is a picture, by its content."""
    with plain_name(path) as name:
        return cv2.haveImageReader(name)


def read_picture(path: Path) -> np.ndarray:
    """The picture, shape (H, W, 3), uint8 RGB, upright.

    Raises:
        ClipError: `too_large`, or `unreadable_picture`.
    """
    if _num_pixels(path) > MAX_PICTURE_PIXELS:
        raise ClipError(
            "too_large",
            f"{path.name} has more than {MAX_PICTURE_PIXELS // 1_000_000} megapixels, the most that is read of a "
            "picture; make it smaller",
        )
    with plain_name(path) as name:
        picture = cv2.imread(name, cv2.IMREAD_COLOR)
    if picture is None:
        raise ClipError("unreadable_picture", "the picture cannot be decoded")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def _num_pixels(path: Path) -> float:
    """What the header says, as decoding takes the memory before anything can be checked."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as header:
                return header.width * header.height
    except Image.DecompressionBombError:
        return np.inf
    except (OSError, SyntaxError, ValueError) as error:
        raise ClipError("unreadable_picture", "the picture cannot be decoded") from error
