"""The stage `directions`."""

from typing import TYPE_CHECKING

from cmet.params import Params
from cmet.places import Places

if TYPE_CHECKING:
    from cmet.speech.directions import DirectionsReport


def directions(places: Places, params: Params) -> "DirectionsReport":
    """Measure how often a speech delta of an unheard speaker points to its own emotion."""
    from cmet.clips.product import Clips
    from cmet.speech.directions import write_directions
    from cmet.speech.product import Voices

    voices: dict[str, Voices] = {encoder: Voices.open(places, encoder) for encoder in params.speech_encoders}
    return write_directions(Clips.open(places).table, voices, places.folder("directions"))
