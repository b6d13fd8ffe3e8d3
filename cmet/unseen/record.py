"""What the finished steps in a folder were made of, so that they are used again as long as that stays the same."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cmet.outputs import write_json

MADE_OF = "made_of.json"

MadeOf = Mapping[str, Any]
"""All that the result of a step depends on, as plain values."""


class Record:
    """The file `MADE_OF` of a folder, with one entry per finished step."""

    def __init__(self, folder: Path) -> None:
        """Look into a folder, which need not be there yet."""
        self.path = folder / MADE_OF

    def has(self, step: str, made_of: MadeOf) -> bool:
        """Whether a step was finished and made of the same."""
        return self._entries().get(step) == _plain(made_of)

    @contextmanager
    def making(self, step: str, made_of: MadeOf) -> Iterator[None]:
        """A block that makes the output of a step; only at its end is the step finished.

        The older entry goes first: after a kill nobody may take the new output for what the old one was made of.
        """
        entries = self._entries()
        if entries.pop(step, None) is not None:
            write_json(self.path, entries)
        yield
        write_json(self.path, entries | {step: _plain(made_of)})

    def _entries(self) -> dict[str, Any]:
        return json.loads(self.path.read_text(encoding="utf-8")) if self.path.is_file() else {}


def digest_of(made_of: MadeOf) -> str:
    """SHA-256 that stands for all that a step was made of in the entry of the next one."""
    return hashlib.sha256(json.dumps(_plain(made_of), sort_keys=True).encode()).hexdigest()


def _plain(made_of: MadeOf) -> Any:
    """The values as JSON gives them back."""
    return json.loads(json.dumps(made_of))
