"""All speech encoders by the name that params.yaml calls them by."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from cmet.errors import UserError
from cmet.speech.encoders import egemaps, emotion2vec, precomputed
from cmet.speech.encoders.bundles import check_bundle, embed_with_bundle
from cmet.speech.encoders.encoder import SpeechEncoder
from cmet.speech.encoders.settings import BUNDLES


def _opensmile(weights: Path) -> SpeechEncoder:
    return SpeechEncoder("opensmile", egemaps.WIDTH, embed=egemaps.embed_opensmile)


def _emotion2vec(weights: Path) -> SpeechEncoder:
    return SpeechEncoder(
        "emotion2vec",
        emotion2vec.WIDTH,
        embed=partial(emotion2vec.embed_emotion2vec, weights=weights),
        check=partial(emotion2vec.check_emotion2vec, weights),
    )


def _precomputed(weights: Path) -> SpeechEncoder:
    return SpeechEncoder("precomputed", precomputed.WIDTH, read=precomputed.read_precomputed)


def _bundle(name: str, weights: Path) -> SpeechEncoder:
    return SpeechEncoder(
        name,
        BUNDLES[name][1],
        embed=partial(embed_with_bundle, name=name, weights=weights),
        check=partial(check_bundle, name, weights),
    )


ENCODERS: Mapping[str, Callable[[Path], SpeechEncoder]] = {
    "opensmile": _opensmile,
    "emotion2vec": _emotion2vec,
    "precomputed": _precomputed,
    **{name: partial(_bundle, name) for name in BUNDLES},
}
"""Each is made from the folder of published checkpoints, of which it reads its own at its first use."""


def load_encoder(name: str, weights: Path) -> SpeechEncoder:
    """An encoder by name.

    Args:
        name: One of `ENCODERS`.
        weights: Folder of published checkpoints.

    Raises:
        UserError: The name is unknown.
    """
    check_encoder(name)
    return ENCODERS[name](weights)


def check_encoder(name: str) -> None:
    """Refuse an encoder that is not there.

    Raises:
        UserError: The name is unknown.
    """
    if name not in ENCODERS:
        raise UserError(f"unknown speech encoder {name!r}; expected one of {', '.join(sorted(ENCODERS))}")
