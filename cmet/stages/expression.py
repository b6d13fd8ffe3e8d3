"""The stage `expression`."""

from typing import TYPE_CHECKING

from cmet.params import Params
from cmet.places import Places

if TYPE_CHECKING:
    from cmet.expression.encoding import ExpressionReport


def expression(places: Places, params: Params, backbone: str) -> "ExpressionReport":
    """Encode the expression of every frame, after fitting the backbone if it needs fitting."""
    from cmet.clips.product import Clips
    from cmet.expression.encoding import write_expression

    clips, out = Clips.open(places), places.folder("expression", backbone)
    work = places.work("expression", backbone, params.expression, clips.pictures, params.inference)
    held_out = params.held_out_emotion
    return write_expression(clips, backbone, held_out, out, work, params.expression, places.weights, params.inference)
