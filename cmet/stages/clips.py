"""The stage `clips`."""

from typing import TYPE_CHECKING

from cmet.params import Params
from cmet.places import Places

if TYPE_CHECKING:
    from cmet.clips.preparation import ClipsReport


def clips(places: Places, params: Params) -> "ClipsReport":
    """Prepare every clip: face crop, constant frame rate, mono sound over the same span."""
    from cmet.clips.preparation import prepare_clips
    from cmet.corpora.product import Manifest

    manifest = Manifest.open(places)
    # which files each clip is made of, and in what state, is compared clip by clip
    work = places.work("clips", None, params.clips, [])
    out, made_of = places.folder("clips"), places.made_of("clips")
    return prepare_clips(manifest.table, places.corpus_folder, out, work, params.clips, made_of)
