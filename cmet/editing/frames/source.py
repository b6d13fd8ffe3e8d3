"""A video to read from: its frames at its own constant rate, as often as an edit goes through them.

`--source`, which names another person, is in `person`.
"""

from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np

from cmet.editing.frames.schedule import BLOCK_BYTES, frames_in_order
from cmet.media.video import VideoFile, frames_at_rate
from cmet.progress import counted

Item = TypeVar("Item")

KEPT_BYTES = 768 << 20
"""What all frames of a video may take to be kept, so that it is decoded once: ten seconds of 720p."""

SLOW_BLOCK_BYTES = 256 << 20
"""Frames held at once where a video is shown backwards that is decoded from its start for each block."""


class Source:
    """A video that is shown at its own rate.

    Raises:
        ClipError: As `VideoFile` has it.
    """

    def __init__(self, path: Path, is_every_frame: bool = False) -> None:
        """Open it.

        Args:
            path: Any container FFmpeg knows.
            is_every_frame: Take the frames as they come; else one is left out or comes twice where their times ask
                for it.
        """
        self.path = path
        self.file = VideoFile(path)
        self.fps, self.width, self.height = self.file.fps, self.file.width, self.file.height
        self._shown = (
            np.arange(len(self.file))
            if is_every_frame
            else frames_at_rate(self.file.start_times_s(), self.fps, round(self.file.duration_s() * self.fps))
        )

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._shown)

    def frames(self, order: np.ndarray | list[int] | None = None) -> Iterator[np.ndarray]:
        """Frames in this order, or all; see `frames_in_order`. Nobody may change them, since they may be kept."""
        if len(self) * self.width * self.height * 3 <= KEPT_BYTES:
            return iter(self._kept if order is None else [self._kept[index] for index in order])
        return self._decoded(order)

    @cached_property
    def _kept(self) -> list[np.ndarray]:
        return list(self._decoded(None))

    def _decoded(self, order: np.ndarray | list[int] | None) -> Iterator[np.ndarray]:
        block_bytes = SLOW_BLOCK_BYTES if self.file.reader == "pyav" else BLOCK_BYTES
        return frames_in_order(self.file, self._shown if order is None else self._shown[order], block_bytes)


def counted_frames(items: Iterable[Item], label: str, total: int, is_quiet: bool) -> Iterator[Item]:
    """The same items, with progress by frames."""
    return counted(items, label, total, "frame", is_quiet=is_quiet)


def num_editable(source: Source, window: int) -> int:
    """Frames that the published code edits: whole windows."""
    return len(source) - len(source) % window


def resize_remark(
    path: Path, width: int, height: int, picture_px: int, what: str = "its frames were"
) -> tuple[str, ...]:
    """What is to be said of pictures of another size than the network's."""
    if (width, height) == (picture_px, picture_px):
        return ()
    return (f"{path} is {width}x{height}; {what} resized to {picture_px}x{picture_px}",)
