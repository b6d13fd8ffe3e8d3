"""Fréchet distance between two sets of features, each taken for a normal distribution; what FID and FVD share.

There are two kinds, and they are different quantities:

- `pairwise-mean`, the paper's: every edited clip against its one true clip, averaged over the clips afterwards. It
  says how far a clip is from one recording, and a set of clips that all look alike can still do well.
- `distribution`, what FID and FVD usually mean: all edited clips together against all true clips together.

The formula is |m1 - m2|² + tr(S1 + S2 - 2 (S1 S2)^½) of means m and covariances S (Heusel et al., arXiv 1706.08500,
equation 6); torch-fidelity computes it, in float64.
"""

# N, M rows of two sets, D features, K directions that are kept

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from cmet.environment import count_workers
from cmet.errors import ClipError
from cmet.progress import counted
from cmet.scores.metrics.metric import Measured, Shown

PAIRWISE_MEAN = "pairwise-mean"
DISTRIBUTION = "distribution"
CLIPS_AT_ONCE = 16
"""Clips whose features are held while they wait to be summed up."""


@dataclass(frozen=True)
class Statistics:
    """Mean, shape (D,), and covariance, shape (D, D), of a set of features, float64."""

    mean_D: np.ndarray
    covariance_DD: np.ndarray

    def along(self, basis_DK: np.ndarray) -> "Statistics":
        """The same of the features' coordinates in orthonormal directions."""
        return Statistics(basis_DK.T @ self.mean_D, basis_DK.T @ self.covariance_DD @ basis_DK)


class RunningStatistics:
    """Mean and covariance of rows that come in parts; no row is kept.

    Parts are merged as Chan, Golub and LeVeque do: sums of squares would lose digits where the mean is large.
    """

    def __init__(self, num_features: int) -> None:
        """Begin without rows of D features."""
        self.num_rows = 0
        self._mean_D = np.zeros(num_features)
        self._scatter_DD = np.zeros((num_features, num_features))

    def add(self, features_ND: np.ndarray) -> None:
        """Take further rows, at least one."""
        part_ND = np.asarray(features_ND, np.float64)
        mean_D = part_ND.mean(axis=0)
        centred_ND = part_ND - mean_D
        shift_D = mean_D - self._mean_D
        num_rows = self.num_rows + len(part_ND)
        self._scatter_DD += centred_ND.T @ centred_ND
        self._scatter_DD += np.outer(shift_D, shift_D * (self.num_rows * len(part_ND) / num_rows))
        self._mean_D += shift_D * (len(part_ND) / num_rows)
        self.num_rows = num_rows

    def statistics(self) -> Statistics:
        """Mean and covariance (divided by one less than the rows) so far.

        Raises:
            ValueError: There are fewer than two rows.
        """
        if self.num_rows < 2:
            raise ValueError(f"a covariance needs at least 2 rows, there are {self.num_rows}")
        return Statistics(self._mean_D.copy(), self._scatter_DD / (self.num_rows - 1))


def frechet_distance(one: Statistics, other: Statistics) -> float:
    """Fréchet distance (a squared length) of two normal distributions, 0 or more.

    Where a covariance is singular, as always with fewer rows than features, the square root of the product loses half
    of the digits. So the space is split, which changes nothing of the distance: outside the range of a covariance its
    part of the root is zero, and what is left there is added up directly; inside, the library gets regular matrices.
    """
    from torch_fidelity.metric_fid import (
        KEY_METRIC_FID,
        fid_statistics_to_metric,
    )

    distance = 0.0
    for _ in range(2):
        basis_DK = _range_of(one.covariance_DD)
        inner_one, inner_other = one.along(basis_DK), other.along(basis_DK)
        distance += _apart(one, other) - _apart(inner_one, inner_other)
        # now the range of the other one, which is no larger by now
        one, other = inner_other, inner_one
    stated = [{"mu": part.mean_D, "sigma": part.covariance_DD} for part in (one, other)]
    distance += fid_statistics_to_metric(*stated, verbose=False)[KEY_METRIC_FID]
    # not max(): that would make 0 of a distance that is no number
    return 0.0 if distance < 0 else float(distance)


def _range_of(covariance_DD: np.ndarray) -> np.ndarray:
    """Orthonormal directions in which there is variance beyond rounding, shape (D, K)."""
    if not len(covariance_DD):
        return covariance_DD
    values_D, vectors_DD = np.linalg.eigh(covariance_DD)
    return vectors_DD[:, values_D > len(values_D) * np.finfo(np.float64).eps * values_D[-1]]


def _apart(one: Statistics, other: Statistics) -> float:
    """The distance without the term of the root."""
    gap_D = one.mean_D - other.mean_D
    return float(gap_D @ gap_D + np.trace(one.covariance_DD) + np.trace(other.covariance_DD))


def distance_of_sets(one_ND: np.ndarray, other_MD: np.ndarray) -> float:
    """Fréchet distance of two small sets of features, at least two rows each.

    It does not change when both are turned alike, so both are first expressed in a basis of what they span: N + M
    directions at most in place of D.
    """
    sets = [np.asarray(rows, np.float64) for rows in (one_ND, other_MD)]
    basis_DK, _ = np.linalg.qr(np.concatenate(sets).T)
    found = []
    for rows in sets:
        running = RunningStatistics(basis_DK.shape[1])
        running.add(rows @ basis_DK)
        found.append(running.statistics())
    return frechet_distance(*found)


@dataclass(frozen=True)
class Pair:
    """Features of an edited clip and of its true clip, and their own distance."""

    video_ND: np.ndarray
    truth_MD: np.ndarray
    distance: float


def measure_pairs(
    clips: Sequence[Shown],
    label: str,
    names: tuple[str, str],
    features: Callable[[Path], np.ndarray],
    distance: Callable[[np.ndarray, np.ndarray], float],
    num_threads: int,
) -> Measured:
    """Both kinds of a Fréchet distance.

    The distribution is of the clips that could be measured; it has no value where they give fewer than two rows.

    Args:
        clips: What is compared with its truth.
        label: Of the progress.
        names: Of the pairwise kind and of the kind of distributions.
        features: Reads a video and gives its features, shape (N, D); raises ClipError.
        distance: Of the features of an edited clip and its truth.
        num_threads: Clips that are worked on side by side.
    """
    of_pair, of_distribution = names
    sides: list[RunningStatistics] = []
    per_clip: list[dict[str, float] | ClipError] = []
    pairs = _pairs(clips, features, distance, num_threads)
    for pair in counted(pairs, label, len(clips), "clip"):
        if isinstance(pair, ClipError):
            per_clip.append(pair)
            continue
        sides = sides or [RunningStatistics(pair.video_ND.shape[1]) for _ in range(2)]
        for side, rows in zip(sides, (pair.video_ND, pair.truth_MD), strict=True):
            side.add(rows)
        per_clip.append({of_pair: pair.distance})
    if not sides or min(side.num_rows for side in sides) < 2:
        return Measured(per_clip, {})
    return Measured(per_clip, {of_distribution: frechet_distance(*(side.statistics() for side in sides))})


def _pairs(
    clips: Sequence[Shown],
    features: Callable[[Path], np.ndarray],
    distance: Callable[[np.ndarray, np.ndarray], float],
    num_threads: int,
) -> Iterator[Pair | ClipError]:
    def measured(clip: Shown) -> Pair | ClipError:
        if clip.truth is None:
            return ClipError("no_truth", f"{clip.video.name} has no true clip to compare with")
        try:
            video_ND, truth_MD = features(clip.video), features(clip.truth)
        except ClipError as error:
            return error
        return Pair(video_ND, truth_MD, distance(video_ND, truth_MD))

    with ThreadPoolExecutor(num_threads) as pool:
        for start in range(0, len(clips), CLIPS_AT_ONCE):
            yield from pool.map(measured, clips[start : start + CLIPS_AT_ONCE])


def count_threads(device: torch.device) -> int:
    """Clips to work on side by side: every core decodes for a GPU; without one, one clip decodes while one computes."""
    return count_workers() if device.type == "cuda" else 2
