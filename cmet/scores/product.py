"""What the stage `evaluate` leaves behind, for one backbone."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from cmet.places import Places
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
    def metrics(self) -> dict[str, Any]:
        """All numbers, methods in the order of every table."""
        metrics = json.loads(self.metrics_file.read_text(encoding="utf-8"))
        for part in (metrics, metrics["held_out"] or {"methods": {}}):
            part["methods"] = in_order(part["methods"])
        return metrics

    @cached_property
    def results(self) -> pd.DataFrame:
        """One row per clip and metric."""
        return read_results(self.folder)

    @property
    def answers(self) -> pd.DataFrame:
        """One row per clip and method: what the judge said."""
        return answers(self.results)
