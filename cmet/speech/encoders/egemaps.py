"""openSMILE's eGeMAPSv02: 88 measured properties of a voice, no trained model."""

from functools import cache

import numpy as np
import opensmile

from cmet.speech.encoders.encoder import SAMPLE_RATE_HZ, check_speech_length, finite
from cmet.speech.encoders.settings import FEATURE_LEVEL, FEATURE_SET

WIDTH = 88


def embed_opensmile(samples: np.ndarray) -> np.ndarray:
    """eGeMAPSv02 functionals, shape (88,), float32.

    Raises:
        ClipError: `too_short_speech`, or `bad_features`.
    """
    check_speech_length(samples)
    values = _smile().process_signal(samples, SAMPLE_RATE_HZ).to_numpy()[0].astype(np.float32)
    return finite(values, "openSMILE")


@cache
def _smile() -> opensmile.Smile:
    return opensmile.Smile(opensmile.FeatureSet[FEATURE_SET], opensmile.FeatureLevel[FEATURE_LEVEL])
