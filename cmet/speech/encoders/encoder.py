"""What a speech encoder is, and the checks that all of them share."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cmet.errors import ClipError

SAMPLE_RATE_HZ = 16_000
"""eGeMAPS and emotion2vec depend on the sample rate, so every sound is brought to this one."""

SCALED = frozenset({"opensmile"})
"""Encoders whose features have units, so that each has to be divided by its spread before they are compared."""

MIN_SPEECH_S = 0.2
"""Below about 0.1 s openSMILE finds no whole segment; the networks would embed what is mostly padding."""


@dataclass(frozen=True)
class SpeechEncoder:
    """A speech embedding.

    Exactly one of the two functions is there: `embed` computes the vector from samples (N,) at 16 kHz, `read`
    takes it from a file that belongs to the raw clip. A model is loaded at its first use and kept by the process.
    """

    name: str
    width: int
    embed: Callable[[np.ndarray], np.ndarray] | None = None
    read: Callable[[Path], np.ndarray] | None = None
    check: Callable[[], None] | None = None
    """Raises a UserError when files or packages that the encoder needs are missing, without loading them."""


def check_speech_length(samples: np.ndarray) -> None:
    """Refuse a sound that is too short to hold an emotion.

    Raises:
        ClipError: `too_short_speech`.
    """
    if len(samples) < MIN_SPEECH_S * SAMPLE_RATE_HZ:
        raise ClipError(
            "too_short_speech", f"{len(samples) / SAMPLE_RATE_HZ:.2f} s of speech; at least {MIN_SPEECH_S} s is needed"
        )


def finite(values: np.ndarray, name: str) -> np.ndarray:
    """The same values.

    Raises:
        ClipError: `bad_features`: some are NaN or infinite.
    """
    if not np.isfinite(values).all():
        raise ClipError("bad_features", f"{name}: {int((~np.isfinite(values)).sum())} value(s) are not finite")
    return values
