"""What the stages `edits` and `timing` leave behind, for one backbone."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from cmet.errors import UserError
from cmet.places import Places
from cmet.vocabulary import METHODS

TABLE = "edits.parquet"
PROTOCOL = "protocol.json"
TIMING = "timing.json"


@dataclass(frozen=True)
class Edits:
    """Clips that every method has made of the same rows."""

    folder: Path

    @classmethod
    def open(cls, places: Places, backbone: str) -> "Edits":
        """The edits of a project.

        Raises:
            UserError: There are none yet.
        """
        return cls(places.written("edits", PROTOCOL, backbone).parent)

    @cached_property
    def protocol(self) -> dict[str, Any]:
        """Rows, speech and settings that all methods share."""
        return json.loads((self.folder / PROTOCOL).read_text(encoding="utf-8"))

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row per clip, methods in the order of `METHODS`.

        Raises:
            UserError: There is no table, it is empty, or the methods did not edit the same rows.
        """
        return _read(self.folder)

    def video(self, name: str) -> Path:
        """A clip by what the table calls it (column `video`)."""
        return self.folder / name


@dataclass(frozen=True)
class Timing:
    """How long edits take on the machine that measured it."""

    folder: Path

    @classmethod
    def open(cls, places: Places, backbone: str) -> "Timing":
        """The timing of a project's edits.

        Raises:
            UserError: There is none yet.
        """
        return cls(places.written("timing", TIMING, backbone).parent)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What `time_edits` wrote: methods, machine and conditions."""
        return json.loads((self.folder / TIMING).read_text(encoding="utf-8"))

    @property
    def methods(self) -> dict[str, Any]:
        """Seconds and their parts, by method."""
        return self.facts["methods"]

    @property
    def seconds(self) -> dict[str, float]:
        """Mean seconds per video, by method."""
        return {method: timed["seconds_per_video"] for method, timed in self.methods.items()}


def sample_id(protocol: str, row_id: str | None, method: str) -> str:
    """Name of one clip of one method under a protocol, or of all of them."""
    return ".".join(part for part in (protocol, row_id, method) if part is not None)


def sample_ids(clips: pd.DataFrame) -> list[str]:
    """Names of clips, from the columns protocol, row_id and method."""
    return [sample_id(*names) for names in clips[["protocol", "row_id", "method"]].itertuples(index=False)]


def _read(folder: Path) -> pd.DataFrame:
    path = folder / TABLE
    if not path.is_file():
        raise UserError(f"{folder}: no {TABLE}; run 'cmet edits'")
    try:
        edits = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not readable as a Parquet table: {error}; run 'cmet edits' again") from error
    if edits.empty:
        raise UserError(f"{folder}: {TABLE} has no rows, so there is nothing to score; see the counts of 'cmet edits'")
    rows = {str(method): frozenset(part["row_id"]) for method, part in edits.groupby("method")}
    if len(set(rows.values())) > 1 or edits.duplicated(["row_id", "method"]).any():
        counts = ", ".join(f"{method} {len(ids)}" for method, ids in sorted(rows.items()))
        raise UserError(f"{folder}: every method must edit the same rows once, found {counts}; run 'cmet edits' again")
    rank = edits["method"].map({method: place for place, method in enumerate(METHODS)}).fillna(len(METHODS))
    return edits.assign(rank=rank).sort_values(["rank", "method", "row_id"]).drop(columns="rank").reset_index(drop=True)
