"""Raw corpora: one module per corpus turns file paths into labelled clips; walking and checking happen in `scan`.

Preparing the media belongs to `cmet.clips`.
"""

from cmet.corpora.scan import Clip, Corpus, scan

__all__ = ["Clip", "Corpus", "scan"]
