"""The stage `directions`."""

from typing import TYPE_CHECKING

from cmet.outputs import write_json
from cmet.params import Params
from cmet.places import Places

if TYPE_CHECKING:
    from cmet.speech.directions import DirectionsReport

ACCURACY_DIGITS = 4


def directions(places: Places, params: Params) -> "DirectionsReport":
    """Measure how often a speech delta of an unheard speaker points to its own emotion."""
    from cmet.clips.product import Clips
    from cmet.speech.directions import write_directions
    from cmet.speech.product import Voices

    voices: dict[str, Voices] = {encoder: Voices.open(places, encoder) for encoder in params.speech_encoders}
    result = write_directions(Clips.open(places).table, voices, places.folder("directions"))
    accuracy = {f"directions.{encoder}": round(value, ACCURACY_DIGITS) for encoder, value in result.accuracy.items()}
    accuracy |= {f"lda.{encoder}": round(value, ACCURACY_DIGITS) for encoder, value in result.lda_accuracy.items()}
    write_json(places.compared_file("directions"), accuracy)
    return result
