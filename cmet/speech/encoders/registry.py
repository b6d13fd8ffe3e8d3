"""All speech encoders by the name that params.yaml calls them by."""

from functools import partial

from cmet.errors import UserError
from cmet.speech.encoders import egemaps, emotion2vec, precomputed
from cmet.speech.encoders.bundles import check_bundle, embed_with_bundle
from cmet.speech.encoders.protocol import SpeechEncoder
from cmet.speech.encoders.settings import BUNDLES

ENCODERS = {
    encoder.name: encoder
    for encoder in (
        SpeechEncoder("opensmile", egemaps.WIDTH, embed=egemaps.embed_opensmile),
        SpeechEncoder(
            "emotion2vec",
            emotion2vec.WIDTH,
            embed=emotion2vec.embed_emotion2vec,
            check=emotion2vec.check_emotion2vec,
        ),
        SpeechEncoder("precomputed", precomputed.WIDTH, read=precomputed.read_precomputed),
        *(
            SpeechEncoder(
                name,
                width,
                embed=partial(embed_with_bundle, name=name),
                check=partial(check_bundle, name),
            )
            for name, (_, width) in BUNDLES.items()
        ),
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
