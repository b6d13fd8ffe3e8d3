"""Bringing speech features of different units to one scale, and into the space that a model hears in."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from cmet.errors import UserError
from cmet.params import Fraction, Section

# N clips, S speech features, P projected ones

FILE = "speech_scaling.safetensors"
LIMIT = 4.0
"""Spreads from the centre at which a feature is cut: eGeMAPS ratios explode where their divisor is near zero."""

TAIL_PERCENT = 2.5
"""Share at each end that has no part in the spread, for the same reason."""

RELATIVE_FLOOR = 1e-3
ABSOLUTE_FLOOR = 1e-6
"""A feature that spreads less than a thousandth of its centre (or than 1e-6) counts as constant."""


FACTS = "projection"
"""Key of the projection in the file, and of what is said of it in the file's notes."""


class ProjectionFacts(Section):
    """What is known of a projection; a model records it."""

    rule: Literal["whitening", "lda"]
    num_speakers: Annotated[int, Field(ge=1)]
    """Training speakers that it was fitted on."""
    accuracy: dict[Annotated[str, Field(max_length=200)], Fraction]
    """Share of the emotional clips of a training speaker left out that are told right, by rule; `none` among them."""


@dataclass(frozen=True, eq=False)
class FittedProjection:
    """A linear map of scaled embeddings."""

    matrix_PS: np.ndarray
    facts: ProjectionFacts


@dataclass(frozen=True, eq=False)
class SpeechScaling:
    """Centre and spread of every speech feature, shape (S,), float32, and what follows on the scaling."""

    centre_S: np.ndarray
    spread_S: np.ndarray
    limit: float
    """Largest scaled value, without sign; infinite for embeddings that are used as they are."""
    projection: FittedProjection | None = None

    @classmethod
    def fit(cls, values_NS: np.ndarray) -> "SpeechScaling":
        """Scaling by the spread of some clips: median, and deviation without the tails."""
        values_NS = values_NS.astype(np.float64)
        low, centre, high = np.percentile(values_NS, [TAIL_PERCENT, 50, 100 - TAIL_PERCENT], axis=0)
        spread = np.clip(values_NS, low, high).std(axis=0)
        floor = np.maximum(RELATIVE_FLOOR * np.abs(centre), ABSOLUTE_FLOOR)
        return cls(centre.astype(np.float32), np.maximum(spread, floor).astype(np.float32), LIMIT)

    @classmethod
    def none(cls, width: int) -> "SpeechScaling":
        """Embeddings as they are, which is what the paper does with emotion2vec."""
        return cls(np.zeros(width, np.float32), np.ones(width, np.float32), float("inf"))

    @property
    def num_features(self) -> int:
        """S, the width of an embedding."""
        return len(self.centre_S)

    @property
    def width(self) -> int:
        """Width of what comes out: P, or S where nothing is projected."""
        return self.num_features if self.projection is None else len(self.projection.matrix_PS)

    def apply(self, embeddings: np.ndarray) -> np.ndarray:
        """Scaled and projected embeddings, shape (..., `width`), float32."""
        scaled = np.clip((embeddings - self.centre_S) / self.spread_S, -self.limit, self.limit).astype(np.float32)
        return self._projected(scaled)

    def of_deltas(self, deltas: np.ndarray) -> np.ndarray:
        """What differences of raw embeddings become where no feature is cut, shape (..., `width`)."""
        return self._projected(deltas / self.spread_S)

    def _projected(self, scaled: np.ndarray) -> np.ndarray:
        return scaled if self.projection is None else scaled @ self.projection.matrix_PS.T

    def save(self, folder: Path) -> None:
        """Write into an existing folder."""
        arrays = {"centre": self.centre_S, "spread": self.spread_S, "limit": np.array([self.limit], np.float32)}
        notes = None
        if self.projection is not None:
            arrays[FACTS] = self.projection.matrix_PS
            notes = {FACTS: self.projection.facts.model_dump_json()}
        # save_file would make it readable for its owner alone
        (folder / FILE).write_bytes(save(arrays, notes))

    @classmethod
    def load(cls, folder: Path) -> "SpeechScaling":
        """Read from a folder.

        Raises:
            UserError: There is no scaling, or a damaged one.
        """
        try:
            with safe_open(folder / FILE, "np") as file:
                arrays, notes = {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
            centre_S, spread_S, limit = arrays["centre"], arrays["spread"], float(arrays["limit"].item())
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise UserError(f"{folder / FILE}: no speech scaling here ({error}); run `dvc repro deltas`") from error
        is_sound = centre_S.shape == spread_S.shape and np.isfinite([centre_S, spread_S]).all()
        if not (is_sound and centre_S.ndim == 1 and (spread_S > 0).all() and limit > 0):
            raise UserError(f"{folder / FILE}: holds values that scale nothing; run `dvc repro deltas`")
        if FACTS not in arrays:
            return cls(centre_S, spread_S, limit)
        matrix_PS = arrays[FACTS]
        if matrix_PS.dtype != np.float32 or matrix_PS.ndim != 2 or not np.isfinite(matrix_PS).all():
            raise UserError(f"{folder / FILE}: holds values that project nothing; run `dvc repro deltas`")
        num, width = matrix_PS.shape
        if width != len(centre_S) or not 1 <= num <= width:
            raise UserError(f"{folder / FILE}: a projection of shape {matrix_PS.shape} for {len(centre_S)} features")
        try:
            facts = ProjectionFacts.model_validate_json(notes.get(FACTS, ""))
        except ValidationError as error:
            raise UserError(
                f"{folder / FILE}: does not say how its projection was fitted; run `dvc repro deltas`"
            ) from error
        return cls(centre_S, spread_S, limit, FittedProjection(matrix_PS, facts))
