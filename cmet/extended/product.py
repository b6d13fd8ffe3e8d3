"""What `cmet extended` leaves behind."""

from dataclasses import dataclass
from pathlib import Path

PAGE = "index.html"
NUMBERS = "extended.parquet"
LABELS = "labels.json"
CLIPS = "clips"
"""Folder of the edited videos: one folder per video, one file per emotion."""


@dataclass(frozen=True)
class ExtendedResult:
    """The page for people, the numbers and labels behind it, and the edited videos."""

    folder: Path

    @property
    def page(self) -> Path:
        """The page."""
        return self.folder / PAGE

    @property
    def numbers(self) -> Path:
        """The table that the page is made of."""
        return self.folder / NUMBERS

    @property
    def labels(self) -> Path:
        """What has to be said of the numbers."""
        return self.folder / LABELS

    def clip(self, video: str, emotion: str) -> Path:
        """A video with the emotion."""
        return self.folder / CLIPS / video / f"{emotion}.mp4"
