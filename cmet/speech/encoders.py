"""Encoders by name: a clip's sound in, one vector out."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import opensmile as audeering

from cmet.errors import ClipError, UserError

SAMPLE_RATE_HZ = 16_000
"""eGeMAPS and emotion2vec change with the sample rate; every sound is brought to this one."""

FEATURES_FOLDER = "emotion2vec+large_features"
"""Where the C-MET release keeps its emotion2vec+ large vectors: beside the wav, under its stem."""


@dataclass(frozen=True)
class SpeechEncoder:
    """A speech embedding.

    Exactly one of the two functions is there: `embed` computes the vector from samples (N,) at 16 kHz, `read`
    takes it from a file that belongs to the raw clip.
    """

    name: str
    width: int
    is_scaled: bool
    """Whether features of different units have to be divided by their spread before they are compared."""
    embed: Callable[[np.ndarray], np.ndarray] | None = None
    read: Callable[[Path], np.ndarray] | None = None


def embed_opensmile(samples: np.ndarray) -> np.ndarray:
    """eGeMAPSv02 functionals, shape (88,), float32.

    Raises:
        ClipError: `too_short_speech`: openSMILE finds no whole segment (below about 0.1 s).
    """
    if len(samples) < SAMPLE_RATE_HZ // 5:
        raise ClipError("too_short_speech", f"{len(samples) / SAMPLE_RATE_HZ:.2f} s of speech, 0.2 s are needed")
    values = _smile().process_signal(samples, SAMPLE_RATE_HZ).to_numpy()[0].astype(np.float32)
    return _finite(values, "openSMILE")


def read_precomputed(raw: Path) -> np.ndarray:
    """The released emotion2vec+ large vector of a raw clip, shape (1024,), float32, bit for bit.

    Raises:
        ClipError: `no_features` or `bad_features`.
    """
    path = raw.parent / FEATURES_FOLDER / f"{raw.stem}.npy"
    try:
        values = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise ClipError("no_features", f"{path} does not exist") from error
    except (ValueError, EOFError) as error:
        raise ClipError("bad_features", f"{path} is no numpy array ({error})") from error
    if values.shape != (1024,):
        raise ClipError("bad_features", f"{path} has shape {values.shape}, expected (1024,)")
    return _finite(values.astype(np.float32, copy=False), path.name)


ENCODERS = {
    encoder.name: encoder
    for encoder in (
        SpeechEncoder("opensmile", 88, is_scaled=True, embed=embed_opensmile),
        SpeechEncoder("precomputed", 1024, is_scaled=False, read=read_precomputed),
    )
}


def load_encoder(name: str) -> SpeechEncoder:
    """An encoder by name.

    Raises:
        UserError: The name is unknown.
    """
    if name not in ENCODERS:
        raise UserError(f"unknown speech encoder {name!r}; known are {', '.join(sorted(ENCODERS))}")
    return ENCODERS[name]


@cache
def _smile() -> audeering.Smile:
    return audeering.Smile(audeering.FeatureSet.eGeMAPSv02, audeering.FeatureLevel.Functionals)


def _finite(values: np.ndarray, name: str) -> np.ndarray:
    if not np.isfinite(values).all():
        raise ClipError("bad_features", f"{name}: {int((~np.isfinite(values)).sum())} value(s) are not finite")
    return values
