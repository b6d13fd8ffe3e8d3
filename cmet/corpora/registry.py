"""Corpora by name."""

from cmet.corpora import cremad, mead, meld, ravdess, table
from cmet.corpora.listing import Corpus
from cmet.corpora.sample import layout as sample

CORPORA: dict[str, Corpus] = {corpus.NAME: corpus for corpus in (mead, cremad, ravdess, meld, table, sample)}
