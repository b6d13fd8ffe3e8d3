"""The stage `deltas`."""

from typing import TYPE_CHECKING

from cmet.params import Params
from cmet.places import Places

if TYPE_CHECKING:
    from cmet.pairs.deltas import DeltasReport


def deltas(places: Places, params: Params, backbone: str) -> "DeltasReport":
    """Pair neutral and emotional clips and take their differences in voice and face."""
    from cmet.clips.product import Clips
    from cmet.expression.product import Faces
    from cmet.pairs.deltas import write_deltas
    from cmet.speech.product import Voices

    return write_deltas(
        Clips.open(places),
        Voices.open(places, params.deltas.speech_encoder),
        Faces.open(places, backbone),
        params.deltas,
        params.held_out_emotion,
        places.folder("deltas", backbone),
    )
