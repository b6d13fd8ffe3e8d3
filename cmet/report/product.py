"""What the stage `report` leaves behind."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmet.places import Places

PAGE = "index.html"
SUMMARY = "summary.json"


@dataclass(frozen=True)
class Report:
    """The page for people and the summary for machines."""

    folder: Path

    @classmethod
    def open(cls, places: Places) -> "Report":
        """The report of a project.

        Raises:
            UserError: There is none yet.
        """
        return cls(places.written("report", SUMMARY).parent)

    @property
    def page(self) -> Path:
        """The page."""
        return self.folder / PAGE

    @property
    def summary_file(self) -> Path:
        """The numbers as a file."""
        return self.folder / SUMMARY

    @property
    def summary(self) -> dict[str, Any]:
        """The numbers."""
        return json.loads(self.summary_file.read_text(encoding="utf-8"))
