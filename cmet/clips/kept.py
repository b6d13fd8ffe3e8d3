"""The part of passing frames that a crop will need, so that a clip is decoded once."""

from collections.abc import Sequence

import numpy as np

from cmet.clips.crop import Cut, square_around

MARGIN = 0.25
"""How far beyond the crop of the first face found the kept part reaches, in sides of that crop."""

MAX_BYTES = 384 << 20
"""Per clip, so per worker process: seven seconds of a face that fills half the height of 1080p video."""


class KeptFrames:
    """Parts of frames by index: whole until a face is found, then around it, up to a number of bytes."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        """Nothing is kept yet."""
        self.is_full = False
        self._left_bytes = max_bytes
        self._parts: dict[int, tuple[np.ndarray, int, int]] = {}
        self._region: tuple[int, int, int, int] | None = None

    def __contains__(self, index: int) -> bool:
        """Whether the frame was kept."""
        return index in self._parts

    def aim(self, faces: Sequence[np.ndarray], width: int, height: int) -> None:
        """Keep only what lies around these faces from now on; the first faces count."""
        if self._region is not None or not faces:
            return
        squares = np.stack([square_around([box]) for box in faces])
        reach = MARGIN * (squares[:, 2:] - squares[:, :2])
        left, top = np.clip((squares[:, :2] - reach).min(axis=0), 0, [width, height]).astype(int).tolist()
        right, bottom = np.clip((squares[:, 2:] + reach).max(axis=0), 0, [width, height]).astype(int).tolist()
        self._region = left, top, right, bottom

    def add(self, index: int, frame: np.ndarray) -> None:
        """Keep a frame, unless the bytes are used up; no later one is kept then either."""
        left, top, right, bottom = self._region or (0, 0, frame.shape[1], frame.shape[0])
        part = frame[top:bottom, left:right]
        self.is_full = self.is_full or part.nbytes > self._left_bytes
        if not self.is_full:
            self._left_bytes -= part.nbytes
            self._parts[index] = part.copy(), left, top

    def drop_unless_holding(self, cut: Cut) -> None:
        """Forget all frames if the cut reads pixels outside of the kept part."""
        left, top, right, bottom = cut.bounds()
        region = self._region or (left, top, right, bottom)
        if left < region[0] or top < region[1] or right > region[2] or bottom > region[3]:
            self._parts.clear()

    def cut(self, index: int, cut: Cut, size_px: int) -> np.ndarray:
        """The picture that the cut makes of a kept frame."""
        part, left, top = self._parts[index]
        return cut.apply(part, size_px, left, top)
