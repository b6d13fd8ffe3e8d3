"""What the stage `speech` leaves behind, for one encoder."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from cmet.errors import UserError
from cmet.places import Places
from cmet.records import read_record

TABLE = "embeddings.parquet"
QUARANTINE = "quarantine.csv"
RESULT, TEXT = "directions.json", "directions.md"


@dataclass(frozen=True)
class Voices:
    """Raw speech embeddings of clips; those without one are left out."""

    folder: Path

    @classmethod
    def open(cls, places: Places, encoder: str) -> "Voices":
        """The embeddings of a project's clips.

        Raises:
            UserError: They are not there yet.
        """
        return cls(places.written("speech", TABLE, encoder).parent)

    @property
    def path(self) -> Path:
        """The file that holds all of them."""
        return self.folder / TABLE

    @cached_property
    def vectors(self) -> dict[str, np.ndarray]:
        """Embedding of each clip, shape (S,), float32.

        Raises:
            UserError: The table is empty, or its embeddings differ in width or are not finite.
        """
        table = pd.read_parquet(self.path, columns=["clip_id", "embedding"]).dropna(subset="embedding")
        rows = zip(table["clip_id"], table["embedding"], strict=True)
        vectors = {clip: np.asarray(row, np.float32) for clip, row in rows}
        widths = sorted({len(row) for row in vectors.values()})
        if len(widths) != 1:
            raise UserError(f"{self.path}: expected embeddings of one width, found {len(vectors)} of widths {widths}")
        bad = [clip for clip, vector in vectors.items() if not np.isfinite(vector).all()]
        if bad:
            raise UserError(f"{self.path}: {len(bad)} embedding(s) hold values that are not numbers, first {bad[0]}")
        return vectors

    @property
    def clip_ids(self) -> pd.Index:
        """The clips that were embedded."""
        return pd.Index(self.vectors)

    def of(self, clip_ids: Sequence[str]) -> np.ndarray:
        """Embeddings of some clips, shape (N, S)."""
        return np.stack([self.vectors[clip_id] for clip_id in clip_ids])


@dataclass(frozen=True)
class Directions:
    """Leave-one-speaker-out result of one encoder."""

    encoder: str
    accuracy: float
    chance: float
    num_clips: int
    num_speakers: int
    per_emotion: dict[str, float]
    lda_accuracy: float
    """Of all clips by linear discriminant analysis, in place of the nearest direction."""


@dataclass(frozen=True)
class DirectionsFacts:
    """How often speech deltas point to their own emotion."""

    protocol: str
    """How it was measured, in words."""
    encoders: dict[str, Directions]


@dataclass(frozen=True)
class DirectionsResult:
    """What the stage `directions` leaves behind: how often a speech delta points to its own emotion."""

    folder: Path

    @classmethod
    def open(cls, places: Places) -> "DirectionsResult":
        """The result of a project.

        Raises:
            UserError: There is none yet.
        """
        return cls(places.written("directions", RESULT).parent)

    @property
    def facts(self) -> DirectionsFacts:
        """How it was measured, and the result of each encoder.

        Raises:
            UserError: Another version wrote it in another form.
        """
        return read_record(self.folder / RESULT, DirectionsFacts, "cmet directions")

    @property
    def text(self) -> str:
        """The table in Markdown."""
        return (self.folder / TEXT).read_text(encoding="utf-8")
