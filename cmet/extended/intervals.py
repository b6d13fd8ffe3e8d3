"""Numbers of a set of directions, each with n and how far the choice of clips decides it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cmet.scores.intervals import wilson_interval

# N clips (or speakers, or videos), B resamples, S features, E basic emotions

NUM_BOOTSTRAP = 2000
CONFIDENCE = 0.95
MIN_FOR_INTERVAL = 3
"""Of two clips a bootstrap knows next to nothing."""


@dataclass(frozen=True)
class Measure:
    """One number, or the reason why there is none."""

    value: float | None
    n: int
    low: float | None = None
    high: float | None = None
    reason: str | None = None


class ClipBootstrap:
    """Percentile intervals of numbers of N vectors, by drawing vectors anew with replacement.

    The same resamples serve all numbers of one set. Vectors of one voice are no independent trials, so intervals are
    rather too narrow.
    """

    def __init__(self, num_vectors: int, seed: int) -> None:
        """Draw how often each vector comes in each resample."""
        rng = np.random.default_rng([seed, num_vectors])
        shares = np.full(num_vectors, 1 / num_vectors)
        self.n = num_vectors
        self.counts_BN = rng.multinomial(num_vectors, shares, NUM_BOOTSTRAP).astype(np.float64)

    def of_mean(self, vectors_NS: np.ndarray, number: Callable[[np.ndarray], np.ndarray]) -> list[Measure]:
        """Numbers of the mean vector.

        Args:
            vectors_NS: Shape (N, S).
            number: From means (B, S) to numbers (B, E); NaN where there is none.
        """
        values_E = number(vectors_NS.mean(axis=0)[None])[0]
        drawn_BE = number(self.counts_BN @ vectors_NS / self.n)
        return [self._measure(value, drawn_B) for value, drawn_B in zip(values_E, drawn_BE.T, strict=True)]

    def consistency(self, vectors_NS: np.ndarray, what: str) -> Measure:
        """Mean cosine over all pairs of two different vectors; `what` names one of them for the reason."""
        if self.n < 2:
            return Measure(None, self.n, reason=f"only one {what}")
        cosines_NN = cosines(vectors_NS, vectors_NS)
        np.fill_diagonal(cosines_NN, 0)
        ones_1N = np.ones((1, self.n))
        return self._measure(_over_pairs(cosines_NN, ones_1N)[0], _over_pairs(cosines_NN, self.counts_BN))

    def _measure(self, value: float, drawn_B: np.ndarray) -> Measure:
        if not np.isfinite(value):
            return Measure(None, self.n, reason="a direction of length zero")
        drawn = drawn_B[np.isfinite(drawn_B)]
        if self.n < MIN_FOR_INTERVAL or not len(drawn):
            return Measure(float(value), self.n)
        tail = (1 - CONFIDENCE) / 2
        low, high = np.quantile(drawn, [tail, 1 - tail])
        return Measure(float(value), self.n, float(low), float(high))


def share(num_hits: int, n: int) -> Measure:
    """A share with Wilson's interval."""
    if not n:
        return Measure(None, 0, reason="no clip")
    return Measure(num_hits / n, n, *wilson_interval(num_hits, n, CONFIDENCE))


def cosines(one_NS: np.ndarray, other_ES: np.ndarray) -> np.ndarray:
    """Cosine of every row with every row, shape (N, E); NaN where one has no length."""
    lengths_NE = np.linalg.norm(one_NS, axis=1)[:, None] * np.linalg.norm(other_ES, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(lengths_NE > 0, one_NS @ other_ES.T / lengths_NE, np.nan)


def _over_pairs(cosines_NN: np.ndarray, counts_BN: np.ndarray) -> np.ndarray:
    """Mean over pairs of different vectors as often as they were drawn, shape (B,); NaN where only one was.

    A vector drawn twice is no pair with itself: that would count as perfect agreement.
    """
    totals_B = ((counts_BN @ cosines_NN) * counts_BN).sum(axis=1)
    pairs_B = counts_BN.sum(axis=1) ** 2 - (counts_BN**2).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(pairs_B > 0, totals_B / pairs_B, np.nan)
