"""How much of an accuracy survives when the emotion was left out: both accuracies and their ratio, with intervals.

Clips of one speaker and sentence share their source, so whole (speaker, sentence) clusters are drawn, and the two sides
of a ratio are drawn together: they are answers to the same rows.
"""

# R rows, K clusters, G emotions, B bootstrap resamples

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cmet.params import EvaluateParams
from cmet.scores.intervals import ClusterBootstrap, clusters

ROW_KEY = ["seed", "row_id", "method"]


@dataclass(frozen=True)
class Estimate:
    """A number with its interval; NaN where it, or its interval, is not known."""

    value: float
    low: float
    high: float

    def times(self, factor: float) -> "Estimate":
        """The same in another unit."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True)
class Survival:
    """Accuracies averaged over emotions (one of them, or several), all of the same rows."""

    seen: Estimate
    left_out: Estimate
    share: Estimate
    """Left out by seen. NaN where nothing was right when seen; its interval is NaN where that comes about in more
    resamples than lie beyond one end of an interval."""
    num_rows: int
    num_clusters: int


def paired_answers(answers: pd.DataFrame, seen: str) -> pd.DataFrame:
    """The answers of every fold that leaves an emotion out, with `correct_seen`, the answer to the same row when seen.

    Args:
        answers: The columns fold, seed, row_id, method and correct, and more; `fold` is the emotion that is left out.
        seen: The fold in which none is.
    """
    left_out = answers[answers["fold"] != seen]
    correct_seen = answers.loc[answers["fold"] == seen, [*ROW_KEY, "correct"]]
    pairs = left_out.merge(correct_seen, on=ROW_KEY, suffixes=("", "_seen"), validate="one_to_one")
    if len(pairs) != len(left_out):
        raise AssertionError(f"{len(left_out) - len(pairs)} rows were edited without their emotion only")
    return pairs


def survival(pairs: pd.DataFrame, params: EvaluateParams, seed: int) -> Survival:
    """What survives in the rows of one method.

    Args:
        pairs: Rows of `paired_answers`, of one emotion or more; accuracies are averaged over emotions.
        params: The `evaluate` section.
        seed: Of the bootstrap.
    """
    draw = _Resamples(pairs, params, seed)
    seen, left_out = (draw.estimate(pairs[column].to_numpy(float)) for column in ("correct_seen", "correct"))
    return Survival(
        seen=seen[0],
        left_out=left_out[0],
        share=draw.ratio(left_out, seen),
        num_rows=len(pairs),
        num_clusters=draw.num_clusters,
    )


class _Resamples:
    """Resamples of the clusters of some rows, the same for all values of them."""

    def __init__(self, rows: pd.DataFrame, params: EvaluateParams, seed: int) -> None:
        self.tail = (1 - params.confidence) / 2
        self.codes_R, self.num_clusters = clusters(rows)
        self.emotions_R = pd.factorize(rows["target"])[0]
        self.bootstrap = ClusterBootstrap(params, seed)
        self.taken_BK = self.bootstrap.resamples(self.num_clusters)

    def estimate(self, values_R: np.ndarray) -> tuple[Estimate, np.ndarray]:
        """Mean over emotions of their means, and the same in each resample, shape (B,)."""
        whole_1K = np.ones((1, self.num_clusters))
        means_B = self._means(values_R, self.taken_BK)
        return Estimate(float(self._means(values_R, whole_1K)[0]), *self.bootstrap.ends(means_B)), means_B

    def ratio(self, left_out: tuple[Estimate, np.ndarray], seen: tuple[Estimate, np.ndarray]) -> Estimate:
        """What `estimate` gave of one side by what it gave of the other."""
        (left, left_B), (whole, whole_B) = left_out, seen
        if whole.value == 0:
            return Estimate(np.nan, np.nan, np.nan)
        has_ratio = whole_B > 0
        value = left.value / whole.value
        if 1 - has_ratio.mean() > self.tail:
            return Estimate(value, np.nan, np.nan)
        return Estimate(value, *self.bootstrap.ends(left_B[has_ratio] / whole_B[has_ratio]))

    def _means(self, values_R: np.ndarray, taken_BK: np.ndarray) -> np.ndarray:
        sums_KG = np.zeros((self.num_clusters, self.emotions_R.max() + 1))
        counts_KG = np.zeros_like(sums_KG)
        np.add.at(sums_KG, (self.codes_R, self.emotions_R), values_R)
        np.add.at(counts_KG, (self.codes_R, self.emotions_R), 1)
        counts_BG = taken_BK @ counts_KG
        # a resample may hold no row of an emotion, which then has no part in its average
        means_BG = np.where(counts_BG > 0, (taken_BK @ sums_KG) / np.maximum(counts_BG, 1), np.nan)
        return np.nanmean(means_BG, axis=1)
