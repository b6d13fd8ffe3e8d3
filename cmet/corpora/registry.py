"""Corpora by name."""

from cmet.corpora import mead
from cmet.corpora.sample import layout as sample
from cmet.corpora.scan import Corpus

CORPORA: dict[str, Corpus] = {mead.NAME: mead, sample.NAME: sample}
