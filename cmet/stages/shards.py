"""The stage `shards`."""

from typing import TYPE_CHECKING

from cmet.params import Params
from cmet.places import Places

if TYPE_CHECKING:
    from cmet.shards import ShardsReport


def shards(places: Places, params: Params, backbone: str) -> "ShardsReport":
    """Pack the pairs into WebDataset tars."""
    from cmet.expression.product import Faces
    from cmet.pairs.product import Pairs
    from cmet.shards import write_shards
    from cmet.speech.product import Voices

    return write_shards(
        Pairs.open(places, backbone),
        Voices.open(places, params.deltas.speech_encoder),
        Faces.open(places, backbone),
        params.shards,
        params.seed,
        places.folder("shards", backbone),
    )
