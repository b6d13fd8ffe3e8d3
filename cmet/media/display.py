"""How a file wants its frames shown: pixels of which shape, turned or mirrored, in which colours."""

from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer, Type
from av.video.reformatter import VideoReformatter

from cmet.media.colour import Colorimetry

MIN_STRETCH = 0.005
"""Pixels nearer to a square are taken for one: some encoders round the shape of the picture."""

_TURNED = {90: (0, -1, 1, 0), 180: (-1, 0, 0, -1), 270: (0, 1, -1, 0)}
"""Matrices of whole turns, by degrees to the left."""


@dataclass(frozen=True)
class Display:
    """From the frames of a file to the pictures that a player shows."""

    unturned_px: tuple[int, int]
    """Width and height with square pixels, before the picture is turned."""
    is_sideways: bool
    """Whether rows become columns."""
    row_step: int
    column_step: int
    """-1 where rows, or columns, come in the opposite order after that."""
    is_stretched: bool
    colour: Colorimetry

    @classmethod
    def of(cls, frame: av.VideoFrame, pixel_shape: Fraction | None) -> "Display":
        """What a file asks for.

        Args:
            frame: Its first frame.
            pixel_shape: Width of a pixel over its height; None where the file does not say.

        Raises:
            ClipError: `unreadable_video`, where its colours are none that are read.
        """
        shape = pixel_shape or Fraction(1)
        is_stretched = abs(shape - 1) > MIN_STRETCH
        width, height = frame.width, frame.height
        if is_stretched:
            # the short side of a pixel grows, so that no detail is lost
            width, height = (round(width * shape), height) if shape > 1 else (width, round(height / shape))
        right_x, right_y, down_x, down_y = _matrix(frame)
        is_sideways = abs(right_x) + abs(down_y) < abs(right_y) + abs(down_x)
        x, y = (down_x, right_y) if is_sideways else (right_x, down_y)
        return cls(
            (width, height), is_sideways, -1 if y < 0 else 1, -1 if x < 0 else 1, is_stretched, Colorimetry.of(frame)
        )

    @property
    def width(self) -> int:
        """Of the shown picture, in pixels."""
        return self.unturned_px[1 if self.is_sideways else 0]

    @property
    def height(self) -> int:
        """Of the shown picture, in pixels."""
        return self.unturned_px[0 if self.is_sideways else 1]

    @property
    def num_bytes(self) -> int:
        """Of the shown picture."""
        return self.width * self.height * 3

    @property
    def is_plain(self) -> bool:
        """Whether the picture is shown as it is stored, with colours that any reader gets right."""
        is_upright = (self.is_sideways, self.row_step, self.column_step) == (False, 1, 1)
        return is_upright and not self.is_stretched and self.colour.is_plain

    def picture(self, frame: av.VideoFrame, scaler: VideoReformatter) -> np.ndarray:
        """What is shown of a frame, shape (height, width, 3), uint8 RGB."""
        stored = self.colour.rgb(frame, *self.unturned_px, scaler)
        turned = stored.transpose(1, 0, 2) if self.is_sideways else stored
        return np.ascontiguousarray(turned[:: self.row_step, :: self.column_step])


def _matrix(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    """Where a step to the right leads, x and y, and where a step down does."""
    try:
        # PyAV's stubs take it for a dictionary
        held = cast(SideDataContainer, frame.side_data)
    except ValueError:
        # PyAV does not know what else lies beside the frame, such as the Exif of cameras, but how it is turned
        return _TURNED.get(frame.rotation % 360, (1, 0, 0, 1))
    if Type.DISPLAYMATRIX not in held:
        return 1, 0, 0, 1
    right_x, right_y, _, down_x, down_y, *_ = np.frombuffer(bytes(held[Type.DISPLAYMATRIX]), np.int32).tolist()
    return right_x, right_y, down_x, down_y
