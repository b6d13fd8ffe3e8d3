"""The stage `expression`."""

from typing import TYPE_CHECKING

from cmet.params import Params
from cmet.places import Places

if TYPE_CHECKING:
    from cmet.expression.encoding import ExpressionReport


def expression(places: Places, params: Params, backbone: str) -> "ExpressionReport":
    """Encode the expression of every frame, after fitting the backbone if it needs fitting."""
    from cmet.clips.product import Clips
    from cmet.engine.earlier import Earlier
    from cmet.expression.encoding import write_expression

    clips, held_out = Clips.open(places), params.held_out_emotion
    earlier = Earlier(places.folder("expression", backbone), places.made_of("expression", backbone))
    # which pictures there are is compared clip by clip
    work = places.work("expression", backbone, params.expression, [], params.inference)
    return write_expression(
        clips, backbone, held_out, earlier, work, params.expression, places.weights, params.inference
    )
