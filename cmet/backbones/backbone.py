"""What C-MET needs from a talking-face model."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np


class Backbone(Protocol):
    """A talking-face model.

    `track` looks at pictures once and keeps what the other two need (landmarks, coefficients); it is the slow part and
    its result is stored. Frames are RGB uint8 (H, W, 3).
    """

    name: str
    width: int
    """K, the length of an expression code: 10 for facemesh and EDTalk, 30 for PD-FGC."""

    picture_px: int | None
    """Side of the square face crop that is read and drawn anew; None where whole frames are changed in place."""

    view: tuple[float, float, float, float]
    """Left, top, right and bottom of what its pictures show of a crop, as shares of the crop."""

    keeps_lips: bool
    """Whether the lips of the frames are followed; where they are not, they come from speech (`SpeechDriven`)."""

    def track(self, frames: Iterable[np.ndarray]) -> np.ndarray:
        """What the backbone knows of each frame, shape (T, ...), float32; NaN where it sees no face."""
        ...

    def encode(self, track: np.ndarray) -> np.ndarray:
        """Expression codes, shape (T, K), float32."""
        ...

    def render(self, frames: Iterable[np.ndarray], track: np.ndarray, codes: np.ndarray) -> Iterator[np.ndarray]:
        """The same frames with other expression codes (T, K); own codes give the frames back, as well as it can.

        Frames and results are passed on one by one or in small batches, so that memory does not grow with T. A
        backbone that draws faces anew reads the first frame only.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write what was fitted, or which weights were used, into an existing folder."""
        ...


@runtime_checkable
class SpeechDriven(Protocol):
    """A backbone whose lips can follow speech."""

    def with_speech(self, track: np.ndarray, samples: np.ndarray, fps: float) -> np.ndarray:
        """A track whose lips say something else.

        Args:
            track: Shape (T, ...).
            samples: Mono, 16 kHz, full scale 1; frame i shows what is heard at i / fps. After its end the lips rest
                as in its last frame.
            fps: Rate of the track.

        Raises:
            ClipError: `too_short`, when the sound is shorter than a frame needs.
        """
        ...


@runtime_checkable
class LipDriven(Protocol):
    """A backbone whose lips can follow another face."""

    def with_lips(self, track: np.ndarray, lips: np.ndarray) -> np.ndarray:
        """A track (T, ...) with the lips of another track of the same length."""
        ...


@runtime_checkable
class DrawsPeople(Protocol):
    """A backbone that shows changes of a person in another way than those of the corpus it was fitted on."""

    def of_person(self, pictures: Sequence[np.ndarray], track: np.ndarray) -> Backbone:
        """The backbone for videos of one person; codes and tracks are the same.

        Args:
            pictures: Some frames of the person, N of them, to see what the face does of itself.
            track: What `track` says of them, shape (N, ...); NaN where it sees no face.
        """
        ...
