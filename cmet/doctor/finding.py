"""What a probe says."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from cmet.environment import GIB


@dataclass(frozen=True)
class Finding:
    """One thing that a probe found."""

    probe: str
    status: Literal["ok", "note", "problem"]
    """`problem`: the built-in sample does not run. `note`: something else does not, or not as well."""
    found: str
    advice: str = ""
    """What to do about it."""


Findings = Iterable[Finding]


def gib(num_bytes: float) -> str:
    """A size for people."""
    return f"{num_bytes / GIB:.1f} GiB"
