"""All speech encoders by the name that params.yaml calls them by."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from cmet.errors import UserError
from cmet.params import USUAL_SPEECH, SpeechForm
from cmet.speech.encoders import egemaps, emotion2vec, precomputed
from cmet.speech.encoders.bundles import check_bundle, embed_with_bundle
from cmet.speech.encoders.encoder import SpeechEncoder, check_speech_length, finite
from cmet.speech.encoders.settings import BUNDLES, LAYERED, WHISPERS, layer_of
from cmet.weights.registry import find_weight


def _opensmile(weights: Path, form: SpeechForm) -> SpeechEncoder:
    return SpeechEncoder("opensmile", egemaps.WIDTH, embed=egemaps.embed_opensmile)


def _emotion2vec(weights: Path, form: SpeechForm) -> SpeechEncoder:
    return SpeechEncoder(
        "emotion2vec",
        emotion2vec.WIDTH,
        embed=partial(emotion2vec.embed_emotion2vec, weights=weights),
        check=partial(emotion2vec.check_emotion2vec, weights),
    )


def _precomputed(weights: Path, form: SpeechForm) -> SpeechEncoder:
    return SpeechEncoder("precomputed", precomputed.WIDTH, read=precomputed.read_precomputed)


def _bundle(name: str, weights: Path, form: SpeechForm) -> SpeechEncoder:
    return SpeechEncoder(
        name,
        _width(name, form),
        embed=partial(embed_with_bundle, name=name, weights=weights, layer=layer_of(name, form), pooling=form.pooling),
        check=partial(check_bundle, name, weights),
    )


def _whisper(name: str, weights: Path, form: SpeechForm) -> SpeechEncoder:
    layer = layer_of(name, form)

    def embed(samples: np.ndarray) -> np.ndarray:
        check_speech_length(samples)
        # torch takes seconds
        from cmet.speech.encoders.whisper import embed_with_whisper

        return finite(embed_with_whisper(samples, name, weights, layer, form.pooling), name)

    def check() -> None:
        find_weight(name, weights)

    return SpeechEncoder(name, _width(name, form), embed=embed, check=check)


def _width(name: str, form: SpeechForm) -> int:
    return LAYERED[name].width * (2 if form.pooling == "mean-std" else 1)


ENCODERS: Mapping[str, Callable[[Path, SpeechForm], SpeechEncoder]] = {
    "opensmile": _opensmile,
    "emotion2vec": _emotion2vec,
    "precomputed": _precomputed,
    **{name: partial(_bundle, name) for name in BUNDLES},
    **{name: partial(_whisper, name) for name in WHISPERS},
}
"""Each is made from the folder of published checkpoints, of which it reads its own at its first use."""


def load_encoder(name: str, weights: Path, form: SpeechForm = USUAL_SPEECH) -> SpeechEncoder:
    """An encoder by name.

    Args:
        name: One of `ENCODERS`.
        weights: Folder of published checkpoints.
        form: What is taken of a network with layers.

    Raises:
        UserError: The name is unknown, or the network has fewer layers.
    """
    check_encoder(name)
    return ENCODERS[name](weights, form)


def check_encoder(name: str) -> None:
    """Refuse an encoder that is not there.

    Raises:
        UserError: The name is unknown.
    """
    if name not in ENCODERS:
        raise UserError(f"unknown speech encoder {name!r}; expected one of {', '.join(sorted(ENCODERS))}")
