"""Corpora by name."""

from collections.abc import Sequence

from cmet.corpora import cremad, mead, meld, ravdess, table
from cmet.corpora.listing import Corpus
from cmet.corpora.sample import layout as sample
from cmet.errors import UserError

CORPORA: dict[str, Corpus] = {corpus.NAME: corpus for corpus in (mead, cremad, ravdess, meld, table, sample)}


def corpus_in_views(name: str, views: Sequence[str]) -> Corpus:
    """A corpus by its name, in these views.

    Raises:
        UserError: It has no such view; only MEAD has others than the frontal one.
    """
    known = mead.VIEWS if name == mead.NAME else (mead.FRONT,)
    unknown = [view for view in views if view not in known]
    if unknown:
        raise UserError(f"{name} has no view {', '.join(unknown)}; it has {', '.join(known)}")
    return mead.SomeViews(tuple(views)) if name == mead.NAME else CORPORA[name]
