"""The stage `evaluate`."""

from typing import TYPE_CHECKING

from cmet.params import ClipForm, Params
from cmet.places import Places

if TYPE_CHECKING:
    from cmet.scores.evaluate import EvaluationReport


def evaluate(places: Places, params: Params, backbone: str) -> "EvaluationReport":
    """Judge the edited clips and measure them with every metric whose weights are here."""
    from cmet.clips.product import Clips
    from cmet.edits.product import Edits
    from cmet.judge.classifier import Judge
    from cmet.scores.evaluate import score_edits

    edits, clips = Edits.open(places, backbone), Clips.open(places)
    judge, out = Judge.load(places.folder("judge")), places.folder("evaluate", backbone)
    judge.card.expect_made_of(ClipForm.of(params.clips), places.folder("judge"))
    return score_edits(edits, clips, judge, out, params.evaluate, params.seed, places.weights)
