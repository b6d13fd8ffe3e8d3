"""Pictures at another size, the same bytes on every processor."""

import cv2
import numpy as np


def scaled(picture: np.ndarray, width: int, height: int, interpolation: int = cv2.INTER_LINEAR) -> np.ndarray:
    """The picture at another size.

    Not by IPP, which OpenCV uses where it can: it picks its code by the processor, and what that rounds differs.

    Args:
        picture: Shape (H, W) or (H, W, C).
        width: Of the result, in pixels.
        height: Likewise.
        interpolation: One of OpenCV's INTER_ constants.
    """
    # holds for this thread
    is_used = cv2.ipp.useIPP()
    cv2.ipp.setUseIPP(False)
    try:
        return cv2.resize(picture, (width, height), interpolation=interpolation)
    finally:
        cv2.ipp.setUseIPP(is_used)
