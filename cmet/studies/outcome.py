"""What a study leaves beside its runs, and what it tells."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from cmet.outputs import fresh_file


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a study found in the runs that were asked for."""

    name: str
    """Of its files."""
    table: pd.DataFrame
    """Every single value or answer."""
    summary: pd.DataFrame
    """Means and shares with their intervals."""
    figure: Figure
    text: str
    """What is told of it to a person, in Markdown."""

    def write(self, folder: Path) -> None:
        """Write `<name>.parquet` (table), `<name>.csv` (summary), `<name>.png` (figure) and `<name>.md` (text)."""
        with fresh_file(folder / f"{self.name}.parquet") as unfinished:
            self.table.to_parquet(unfinished, index=False)
        with fresh_file(folder / f"{self.name}.csv") as unfinished:
            self.summary.to_csv(unfinished, index=False)
        with fresh_file(folder / f"{self.name}.png") as unfinished:
            self.figure.savefig(unfinished, dpi=150)
        with fresh_file(folder / f"{self.name}.md") as unfinished:
            unfinished.write_text(f"{self.text}\n", encoding="utf-8")


@dataclass(frozen=True, eq=False)
class StudyReport:
    """What is told of a study."""

    result: Mapping[str, object]
    """For machines: `labels`, which say what was measured, and the rows of the `summary`."""
    text: str
    """For a person: the table, under what its numbers were measured on."""
