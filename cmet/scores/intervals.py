"""How far a mean or a share is known: clips of one speaker and sentence share a source and are no independent rows."""

# R rows, K clusters, B bootstrap resamples

import math
from statistics import NormalDist

import numpy as np
import pandas as pd

from cmet.params import EvaluateParams

CLUSTER = ["speaker", "sentence"]


class ClusterBootstrap:
    """Percentile intervals that resample whole (speaker, sentence) clusters.

    With few clusters the interval is still a little narrow.
    """

    def __init__(self, params: EvaluateParams, seed: int) -> None:
        """Keep the number of resamples, the confidence and the seed; each interval draws anew from the seed."""
        self.params = params
        self.seed = seed

    def interval(self, rows: pd.DataFrame, values: np.ndarray) -> tuple[float, float]:
        """Interval of the mean of one value per row, shape (R,)."""
        codes, num_clusters = clusters(rows)
        sums_K = np.bincount(codes, weights=values, minlength=num_clusters)
        counts_K = np.bincount(codes, minlength=num_clusters)
        taken_BK = self.resamples(num_clusters)
        return self.ends((taken_BK @ sums_K) / (taken_BK @ counts_K))

    def resamples(self, num_clusters: int) -> np.ndarray:
        """How often each of K clusters comes in each resample, shape (B, K), always the same."""
        rng = np.random.default_rng([self.seed, num_clusters])
        return rng.multinomial(num_clusters, np.full(num_clusters, 1 / num_clusters), self.params.num_bootstrap)

    def ends(self, values_B: np.ndarray) -> tuple[float, float]:
        """Where the interval of a number begins and ends that has these values in the resamples."""
        tail = (1 - self.params.confidence) / 2
        low, high = np.quantile(values_B, [tail, 1 - tail])
        return float(low), float(high)


def clusters(rows: pd.DataFrame) -> tuple[np.ndarray, int]:
    """A number per row that says to which (speaker, sentence) it belongs, shape (R,), and how many there are."""
    codes = rows.groupby(CLUSTER).ngroup().to_numpy()
    return codes, int(codes.max()) + 1 if len(codes) else 0


def wilson_interval(num_right: int, num_rows: int, confidence: float) -> tuple[float, float]:
    """Interval of a share as if rows were independent, which rows with a common source are not.

    It has a width at shares of 0 and 1, too.

    Source: Wilson 1927, JASA 22, 209-212. Written out: scipy.stats takes 0.6 s to import, of a report's three.
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, weight = num_right / num_rows, z**2 / num_rows
    middle = (share + weight / 2) / (1 + weight)
    reach = z * math.sqrt(share * (1 - share) / num_rows + weight / (4 * num_rows)) / (1 + weight)
    return middle - reach, middle + reach
