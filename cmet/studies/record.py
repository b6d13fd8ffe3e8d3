"""What finished steps were made of, so that they are used again as long as that stays the same."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cmet.inputs.texts import read_json
from cmet.outputs import write_json

MADE_OF = "made_of.json"


@dataclass(frozen=True)
class MadeOf:
    """All that the result of a step depends on, as plain values."""

    params: Mapping[str, Any]
    """Parameters by their names, with dots."""
    inputs: Mapping[str, str]
    """Digests of files by their path in the project."""
    code: str
    """Digest of the code that makes it (`cmet.closure`)."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Values besides."""
    before: str | None = None
    """Digest of what the step before is made of, whose result this one takes."""

    @property
    def plain(self) -> dict[str, Any]:
        """The values as JSON gives them back."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return values

    @property
    def digest(self) -> str:
        """SHA-256 that stands for all of it."""
        return hashlib.sha256(json.dumps(self.plain, sort_keys=True).encode()).hexdigest()


class RunRecord:
    """The file `MADE_OF` of a folder, with one entry per finished step."""

    def __init__(self, folder: Path) -> None:
        """Look into a folder, which need not be there yet."""
        self.path = folder / MADE_OF

    def has(self, step: str, made_of: MadeOf) -> bool:
        """Whether a step was finished and made of the same."""
        return self._entries().get(step) == made_of.plain

    @contextmanager
    def making(self, step: str, made_of: MadeOf) -> Iterator[None]:
        """A block that makes the output of a step; only at its end is the step finished.

        The older entry goes first: after a kill nobody may take the new output for what the old one was made of.
        """
        entries = self._entries()
        if entries.pop(step, None) is not None:
            write_json(self.path, entries)
        yield
        write_json(self.path, self._entries() | {step: made_of.plain})

    def _entries(self) -> dict[str, Any]:
        return read_json(self.path) if self.path.is_file() else {}
