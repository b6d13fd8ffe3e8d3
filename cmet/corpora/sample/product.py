"""What the stage `sample` leaves behind."""

from dataclasses import dataclass
from pathlib import Path

from cmet.places import Places

CORPUS = "corpus"
TRUTH = "truth.parquet"


@dataclass(frozen=True)
class Sample:
    """The built-in corpus, with the truth behind it."""

    folder: Path

    @classmethod
    def open(cls, places: Places) -> "Sample":
        """The sample of a project.

        Raises:
            UserError: There is none yet.
        """
        return cls(places.written("sample", CORPUS).parent)

    @property
    def corpus(self) -> Path:
        """The tree, as `cmet.corpora.sample.layout` reads it."""
        return self.folder / CORPUS
