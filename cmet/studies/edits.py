"""Edits of a run: rows of one emotion or of all, by the methods that a study asks for."""

from collections.abc import Sequence

from cmet.clips.product import Clips
from cmet.connector.bundle import load_bundle
from cmet.edits.material import EditRecipe, Material
from cmet.edits.writing import write_edits
from cmet.expression.product import Faces
from cmet.pairs.product import Pairs
from cmet.params import Params
from cmet.places import Places
from cmet.speech.product import Voices


def edit_rows(
    places: Places, params: Params, backbone: str, emotion: str | None, methods: Sequence[str], key: str
) -> None:
    """Edit the neutral clips of the test rows, as the stage `edits` does.

    Args:
        places: Where the model lies that was trained, and where the edits go.
        params: What the stage `edits` declares; the seed draws the references.
        backbone: One of the project's.
        emotion: The rows that want it; all rows when None.
        methods: Those of the stage that are wanted.
        key: Stands for all that the edits are made of: clips finished before a kill are kept as long as it is the same.

    Raises:
        UserError: What `write_edits` says.
    """
    pairs = Pairs.open(places, backbone).table
    material = Material(
        pairs if emotion is None else pairs[pairs["emotion"] == emotion],
        Clips.open(places),
        Faces.open(places, backbone),
        Voices.open(places, params.deltas.speech_encoder),
        load_bundle(places.folder("train", backbone)),
        places.weights,
    )
    work = places.work("edits", backbone, params.edits, [], key)
    write_edits(material, recipe_of(params), places.folder("edits", backbone), work, methods)


def recipe_of(params: Params) -> EditRecipe:
    """How the edits are made."""
    return EditRecipe(params.edits, params.inference, params.seed, params.clips.crf, params.held_out_emotion)
