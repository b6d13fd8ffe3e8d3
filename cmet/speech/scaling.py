"""Bringing speech features of different units to one scale."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from cmet.errors import UserError

# N clips, S speech features

FILE = "speech_scaling.safetensors"
LIMIT = 4.0
"""Spreads from the centre at which a feature is cut: eGeMAPS ratios explode where their divisor is near zero."""

TAIL_PERCENT = 2.5
"""Share at each end that has no part in the spread, for the same reason."""

RELATIVE_FLOOR = 1e-3
ABSOLUTE_FLOOR = 1e-6
"""A feature that spreads less than a thousandth of its centre (or than 1e-6) counts as constant."""


@dataclass(frozen=True, eq=False)
class SpeechScaling:
    """Centre and spread of every speech feature, shape (S,), float32."""

    centre_S: np.ndarray
    spread_S: np.ndarray
    limit: float
    """Largest scaled value, without sign; infinite for embeddings that are used as they are."""

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

    def apply(self, embeddings: np.ndarray) -> np.ndarray:
        """Scaled embeddings, shape (..., S), float32."""
        return np.clip((embeddings - self.centre_S) / self.spread_S, -self.limit, self.limit).astype(np.float32)

    def save(self, folder: Path) -> None:
        """Write into an existing folder."""
        limit = np.array([self.limit], np.float32)
        # save_file would make it readable for its owner alone
        (folder / FILE).write_bytes(save({"centre": self.centre_S, "spread": self.spread_S, "limit": limit}))

    @classmethod
    def load(cls, folder: Path) -> "SpeechScaling":
        """Read from a folder.

        Raises:
            UserError: There is no scaling, or a damaged one.
        """
        try:
            arrays = load_file(folder / FILE)
            centre_S, spread_S, limit = arrays["centre"], arrays["spread"], float(arrays["limit"].item())
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise UserError(f"{folder / FILE}: no speech scaling here ({error}); run `dvc repro deltas`") from error
        is_sound = centre_S.shape == spread_S.shape and np.isfinite([centre_S, spread_S]).all()
        if not (is_sound and centre_S.ndim == 1 and (spread_S > 0).all() and limit > 0):
            raise UserError(f"{folder / FILE}: holds values that scale nothing; run `dvc repro deltas`")
        return cls(centre_S, spread_S, limit)
