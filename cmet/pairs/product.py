"""What the stage `deltas` leaves behind, for one backbone."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from cmet.places import Places
from cmet.speech.scaling import SpeechScaling

TABLE = "pairs.parquet"
UNPAIRED = "unpaired.csv"
UNPAIRED_CLIPS = "unpaired_clips.parquet"


@dataclass(frozen=True)
class Pairs:
    """Pairs of a neutral and an emotional clip of a speaker, and the delta between them."""

    folder: Path

    @classmethod
    def open(cls, places: Places, backbone: str) -> "Pairs":
        """The pairs of a project.

        Raises:
            UserError: They are not there yet.
        """
        return cls(places.written("deltas", TABLE, backbone).parent)

    @property
    def path(self) -> Path:
        """The table as a file."""
        return self.folder / TABLE

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row per pair, with its expression delta, raw and not normalised."""
        return pd.read_parquet(self.path)

    @property
    def unpaired_clips(self) -> pd.DataFrame:
        """Usable clips that are in no pair: training draws from them, too."""
        return pd.read_parquet(self.folder / UNPAIRED_CLIPS)

    @property
    def scaling(self) -> SpeechScaling:
        """How speech features are scaled."""
        return SpeechScaling.load(self.folder)
