"""What the stage `report` leaves behind."""

from dataclasses import dataclass
from pathlib import Path

from cmet.places import Places
from cmet.records import read_record
from cmet.report.summary import Summary

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
    def summary(self) -> Summary:
        """The numbers.

        Raises:
            UserError: Another version wrote them in another form.
        """
        return read_record(self.summary_file, Summary, "cmet report")
