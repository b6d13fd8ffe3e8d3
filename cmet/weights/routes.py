"""Where published files can be had: on a hub, at an address, on Google Drive, in one's own store, or only by hand."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import urlsplit

MAX_WEIGHTS_BYTES = 8 << 30
"""No published file of ours comes near this."""

MAX_TEXT_BYTES = 4 << 20
"""Of a description beside weights."""

_TEXTS = frozenset({".json", ".txt", ".yaml"})


@dataclass(frozen=True)
class HubRoute:
    """A file in a repository of the Hugging Face hub, or of what HF_ENDPOINT names."""

    repo: str
    file: str
    revision: str | None = None
    kind: Literal["model", "space"] = "model"

    def __str__(self) -> str:
        """For people."""
        return f"Hugging Face {self.repo}"


@dataclass(frozen=True)
class WebRoute:
    """A plain address."""

    url: str

    def __str__(self) -> str:
        """For people."""
        return str(urlsplit(self.url).hostname)


@dataclass(frozen=True)
class DriveRoute:
    """A file on Google Drive."""

    id: str

    def __str__(self) -> str:
        """For people."""
        return f"Google Drive, {self.page}"

    @property
    def page(self) -> str:
        """Where a browser gets it."""
        return f"https://drive.google.com/file/d/{self.id}/view"


@dataclass(frozen=True)
class ManualRoute:
    """A page from which only a person can get the file."""

    page: str
    link: str
    """What to look for on the page."""

    def __str__(self) -> str:
        """For people."""
        return f"{self.link} on {self.page}"


@dataclass(frozen=True)
class StoreRoute:
    """An object of one's own store, which holds what others had to get by hand, too."""

    address: str
    """Of the store."""
    name: str
    """From there on."""

    def __str__(self) -> str:
        """For people."""
        return f"{self.address}/{self.name}"


Route = HubRoute | WebRoute | DriveRoute | StoreRoute | ManualRoute


@dataclass(frozen=True)
class Download:
    """One published file, the same from every route."""

    path: str
    """Where it lies, from the home of its checkpoint."""
    routes: tuple[Route, ...]
    """In the order in which they are tried."""
    size_bytes: int | None = None
    about_bytes: int | None = None
    """Roughly, where nobody states the size."""
    sha256: str | None = None
    git_sha1: str | None = None
    """Name that git has for the content."""
    members: tuple[tuple[str, str], ...] = ()
    """Of an archive: names of the wanted files in it, in whatever folder, and where they lie, from the home."""

    @property
    def is_text(self) -> bool:
        """Whether it is a description beside weights."""
        return PurePosixPath(self.path).suffix in _TEXTS

    @property
    def max_bytes(self) -> int:
        """Beyond this it is something else."""
        return self.size_bytes or (MAX_TEXT_BYTES if self.is_text else MAX_WEIGHTS_BYTES)
