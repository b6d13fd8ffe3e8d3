"""openSMILE's eGeMAPSv02: 88 measured properties of a voice, no trained model."""

import os
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from cmet.speech.encoders.encoder import SAMPLE_RATE_HZ, check_speech_length, finite
from cmet.speech.encoders.settings import FEATURE_LEVEL, FEATURE_SET

if TYPE_CHECKING:  # an edit to an emotion told by its name hears nothing, and openSMILE brings pandas
    import opensmile

WIDTH = 88

_IS_HEARING = Lock()
"""openSMILE keeps what it is at in one place."""


def embed_opensmile(samples: np.ndarray) -> np.ndarray:
    """eGeMAPSv02 functionals, shape (88,), float32.

    Raises:
        ClipError: `too_short_speech`, or `bad_features`.
    """
    check_speech_length(samples)
    with _IS_HEARING:
        values = _smile().process_signal(samples, SAMPLE_RATE_HZ).to_numpy()[0].astype(np.float32)
    return finite(values, "openSMILE")


@cache
def _opened(folder: str) -> int:
    """Descriptor of a folder, open as long as the process runs."""
    return os.open(folder, os.O_PATH)


@cache
def _smile() -> "opensmile.Smile":
    import opensmile

    class AnywhereSmile(opensmile.Smile):
        """openSMILE in any folder: it takes names of its files in ASCII only, and a home may be `/home/José`."""

        # it notes down the version of the module it comes from
        __module__ = opensmile.Smile.__module__

        @property
        def default_config_root(self) -> str:
            """The folder of configurations under a name in ASCII."""
            root = super().default_config_root
            return root if root.isascii() else f"/proc/self/fd/{_opened(root)}"

    return AnywhereSmile(opensmile.FeatureSet[FEATURE_SET], opensmile.FeatureLevel[FEATURE_LEVEL])
