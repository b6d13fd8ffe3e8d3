"""The stage `timing`."""

from typing import TYPE_CHECKING

from cmet.outputs import content_digest
from cmet.params import ClipForm, Params, SpeechForm
from cmet.places import Places

if TYPE_CHECKING:
    from cmet.edits.timing import TimingReport


def timing(places: Places, params: Params, backbone: str) -> "TimingReport":
    """Time the edits of a few test rows, clip by clip.

    DVC keeps what was timed. The seconds lie in `reports/timing`, since they belong to this machine.
    """
    from cmet.clips.product import Clips
    from cmet.connector.bundle import load_bundle
    from cmet.connector.card import WEIGHTS
    from cmet.edits.material import EditRecipe, Material
    from cmet.edits.timing import time_edits
    from cmet.expression.product import Faces
    from cmet.pairs.product import Pairs
    from cmet.speech.product import Voices

    encoder = params.deltas.speech_encoder
    trained = places.folder("train", backbone)
    bundle = load_bundle(trained)
    bundle.expect(backbone=backbone, speech_encoder=encoder, speech_form=SpeechForm.of(params.speech))
    clips, faces = Clips.open(places), Faces.open(places, backbone)
    bundle.expect_made_of(ClipForm.of(params.clips), faces.model)
    pairs, voices = Pairs.open(places, backbone), Voices.open(places, encoder)
    material = Material(pairs.table, clips, faces, voices, bundle, places.weights)
    recipe = EditRecipe(params.edits, params.inference, params.seed, params.clips.crf, params.held_out_emotion)
    model, out = content_digest(trained / WEIGHTS), places.folder("timing", backbone)
    return time_edits(material, recipe, params.timing, model, out, places.measured("timing", backbone))
