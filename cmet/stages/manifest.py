"""The stage `manifest`."""

from typing import TYPE_CHECKING

from cmet.params import Params
from cmet.places import Places

if TYPE_CHECKING:
    from cmet.corpora.scan import ManifestReport


def manifest(places: Places, params: Params) -> "ManifestReport":
    """Scan the raw corpus into one row per clip."""
    from cmet.corpora.registry import corpus_in_views
    from cmet.corpora.scan import write_manifest

    corpus = corpus_in_views(params.manifest.corpus, params.manifest.views)
    files = (places.root / params.manifest.files).resolve()
    return write_manifest(corpus, places.corpus, files, places.folder("manifest"))
