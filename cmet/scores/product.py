"""What the stage `evaluate` leaves behind, for one backbone."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from cmet.places import Places
from cmet.records import read_record
from cmet.scores.measured import JudgedNumbers
from cmet.scores.results import METRICS, RESULTS, answers, read_results
from cmet.vocabulary import in_order


@dataclass(frozen=True)
class Scores:
    """Results clip by clip, and the numbers made of them."""

    folder: Path

    @classmethod
    def open(cls, places: Places, backbone: str) -> "Scores":
        """The scores of a project's edits.

        Raises:
            UserError: There are none yet.
        """
        return cls(places.written("evaluate", METRICS, backbone).parent)

    @property
    def metrics_file(self) -> Path:
        """The numbers as a file."""
        return self.folder / METRICS

    @property
    def results_file(self) -> Path:
        """The results as a file."""
        return self.folder / RESULTS

    @cached_property
    def metrics(self) -> JudgedNumbers:
        """All numbers, methods in the order of every table.

        Raises:
            UserError: Another version wrote them in another form.
        """
        read = read_record(self.metrics_file, JudgedNumbers, "cmet evaluate")
        held_out = read.held_out and replace(read.held_out, methods=in_order(read.held_out.methods))
        return replace(read, methods=in_order(read.methods), held_out=held_out)

    @cached_property
    def results(self) -> pd.DataFrame:
        """One row per clip and metric."""
        return read_results(self.folder)

    @property
    def answers(self) -> pd.DataFrame:
        """One row per clip and method: what the judge said."""
        return answers(self.results)
