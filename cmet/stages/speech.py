"""The stage `speech`."""

from typing import TYPE_CHECKING

from cmet.params import Params
from cmet.places import Places

if TYPE_CHECKING:
    from cmet.speech.embeddings import SpeechReport


def speech(places: Places, params: Params, encoder: str) -> "SpeechReport":
    """Embed the sound of every clip."""
    from cmet.clips.product import Clips
    from cmet.speech.embeddings import write_embeddings

    clips = Clips.open(places)
    work = places.work("speech", encoder, params.speech, [*clips.sounds, places.weights / "speech"])
    return write_embeddings(clips, encoder, places.weights, places.folder("speech", encoder), work, params.speech)
