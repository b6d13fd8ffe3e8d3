"""What C-MET needs from a talking-face model."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np


class Backbone(Protocol):
    """A talking-face model.

    `track` looks at pictures once and keeps what the other two need (landmarks, latents); it is the slow part and
    its result is stored. Frames are RGB uint8 (H, W, 3).
    """

    name: str
    width: int
    """K, the length of an expression code: 10 for facemesh and EDTalk, 30 for PD-FGC."""

    def track(self, frames: Iterable[np.ndarray]) -> np.ndarray:
        """What the backbone knows of each frame, shape (T, ...), float32."""
        ...

    def encode(self, track: np.ndarray) -> np.ndarray:
        """Expression codes, shape (T, K), float32."""
        ...

    def render(self, frames: Iterable[np.ndarray], track: np.ndarray, codes: np.ndarray) -> Iterator[np.ndarray]:
        """The same frames with other expression codes (T, K); own codes give the frames back."""
        ...

    def save(self, folder: Path) -> None:
        """Write what was fitted into an existing folder."""
        ...
