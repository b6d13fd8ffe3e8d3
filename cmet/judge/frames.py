"""Frames as a judge sees them: evenly spaced over a clip, scaled to a square."""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cmet.environment import count_workers
from cmet.errors import ClipError
from cmet.media.scaling import scaled
from cmet.media.video import VideoFile

CLIPS_AT_ONCE = 16

Resize = Callable[[np.ndarray, int], np.ndarray]
"""Scales an RGB uint8 picture to a square of that many pixels."""


def by_area(frame: np.ndarray, size_px: int) -> np.ndarray:
    """The mean of the pixels that fall together."""
    if frame.shape[:2] == (size_px, size_px):
        return frame
    return scaled(frame, size_px, size_px, cv2.INTER_AREA)


def bilinear(frame: np.ndarray, size_px: int) -> np.ndarray:
    """As Pillow scales, and with it torchvision, to one grey level: bilinear over all pixels that fall together."""
    if frame.shape[:2] == (size_px, size_px):
        return frame
    picture = torch.from_numpy(frame).permute(2, 0, 1).unsqueeze(0)
    scaled = functional.interpolate(picture, (size_px, size_px), mode="bilinear", antialias=True)
    return scaled[0].permute(1, 2, 0).contiguous().numpy()


def read_frames(
    paths: Sequence[Path], num_frames: int, size_px: int, resize: Resize = by_area
) -> Generator[np.ndarray | ClipError, None, None]:
    """Evenly spaced frames of each clip, shape (num_frames, size_px, size_px, 3) uint8, or why there are none."""

    def read(path: Path) -> np.ndarray | ClipError:
        try:
            return _spaced_frames(path, num_frames, size_px, resize)
        except ClipError as error:
            return error

    with ThreadPoolExecutor(count_workers()) as pool:
        for start in range(0, len(paths), CLIPS_AT_ONCE):
            yield from pool.map(read, paths[start : start + CLIPS_AT_ONCE])


def to_tensor(frames_NHWC: np.ndarray) -> Tensor:
    """Pictures with values 0-1, shape (N, 3, H, W)."""
    return torch.from_numpy(frames_NHWC).permute(0, 3, 1, 2).float().div_(255)


def _spaced_frames(path: Path, num_frames: int, size_px: int, resize: Resize) -> np.ndarray:
    video = VideoFile(path)
    # the paper's judge: int(total / 16 * i), so the last part of a clip is not reached
    indices = [int(len(video) / num_frames * i) for i in range(num_frames)]
    return np.stack([resize(frame, size_px) for frame in video.frames_at(indices)])
