"""The stage `edits`."""

from typing import TYPE_CHECKING

from cmet.params import ClipForm, Params, SpeechForm
from cmet.places import Places

if TYPE_CHECKING:
    from cmet.edits.writing import EditsReport


def edits(places: Places, params: Params, backbone: str) -> "EditsReport":
    """Edit the neutral clips of the test speakers with every method."""
    from cmet.clips.product import Clips
    from cmet.connector.bundle import load_bundle
    from cmet.edits.material import EditRecipe, Material
    from cmet.edits.writing import write_edits
    from cmet.expression.product import Faces
    from cmet.pairs.product import Pairs
    from cmet.speech.product import Voices

    encoder = params.deltas.speech_encoder
    bundle = load_bundle(places.folder("train", backbone))
    bundle.expect(backbone=backbone, speech_encoder=encoder, speech_form=SpeechForm.of(params.speech))
    clips, faces = Clips.open(places), Faces.open(places, backbone)
    bundle.expect_made_of(ClipForm.of(params.clips), faces.model)
    pairs, voices = Pairs.open(places, backbone), Voices.open(places, encoder)
    material = Material(pairs.table, clips, faces, voices, bundle, places.weights)
    recipe = EditRecipe(params.edits, params.inference, params.seed, params.clips.crf, params.held_out_emotion)
    inputs = [bundle.folder, clips.path, faces.all_codes]
    work = places.work("edits", backbone, params.edits, inputs)
    return write_edits(material, recipe, places.folder("edits", backbone), work)
