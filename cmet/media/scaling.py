"""Pictures at another size, the same bytes on every x86-64 processor."""

import os

# OpenCV lets IPP scale, which picks its code by the processor, and they round differently: this is the code that all
# processors have. OpenCV's own, which is left where IPP is disabled, is five times as slow. Read when IPP is first used
os.environ["OPENCV_IPP"] = "sse42"

import cv2
import numpy as np


def scaled(picture: np.ndarray, width: int, height: int, interpolation: int = cv2.INTER_LINEAR) -> np.ndarray:
    """The picture at another size; everything is scaled here.

    Args:
        picture: Shape (H, W) or (H, W, C).
        width: Of the result, in pixels.
        height: Likewise.
        interpolation: One of OpenCV's INTER_ constants.
    """
    return cv2.resize(picture, (width, height), interpolation=interpolation)
