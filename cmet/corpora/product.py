"""What the stage `manifest` leaves behind."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from cmet.places import Places

TABLE = "manifest.parquet"


@dataclass(frozen=True)
class Manifest:
    """A row per clip of the raw corpus."""

    folder: Path

    @classmethod
    def open(cls, places: Places) -> "Manifest":
        """The manifest of a project.

        Raises:
            UserError: It is not there yet.
        """
        return cls(places.written("manifest", TABLE).parent)

    @cached_property
    def table(self) -> pd.DataFrame:
        """All clips, quarantined ones too."""
        return pd.read_parquet(self.folder / TABLE)

    @property
    def usable(self) -> pd.DataFrame:
        """The rows that are not quarantined."""
        return self.table[self.table.status == "ok"]
