"""The stage `sample`."""

from typing import TYPE_CHECKING

from cmet.params import Params
from cmet.places import Places

if TYPE_CHECKING:
    from cmet.corpora.sample.corpus import SampleReport


def sample(places: Places, params: Params) -> "SampleReport":
    """Make the sample corpus: rendered actors who speak with espeak-ng."""
    from cmet.corpora.sample.corpus import make_sample

    work = places.work("sample", None, params.sample, [], params.seed)
    return make_sample(params.sample, params.seed, places.folder("sample"), work)
