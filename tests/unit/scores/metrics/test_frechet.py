from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from cmet.errors import ClipError
from cmet.scores.metrics.frechet import (
    RunningStatistics,
    Statistics,
    count_threads,
    distance_of_sets,
    frechet_distance,
    measure_pairs,
)
from cmet.scores.metrics.metric import Measured, Shown

NAMES = ("x/pairwise-mean", "x/distribution")

Sets = tuple[np.ndarray, np.ndarray]


def drawn(num_one: int, num_other: int, num_features: int, rank: int | None = None) -> Sets:
    """Two sets like features after a ReLU; with a rank, they lie in a plane of as many dimensions."""
    rng = np.random.default_rng(num_features)
    one = np.abs(rng.normal(size=(num_one, num_features)))
    other = np.abs(1.3 * rng.normal(size=(num_other, num_features)) + 0.2)
    if rank is not None:
        plane = rng.normal(size=(rank, num_features))
        one, other = one[:, :rank] @ plane, other[:, :rank] @ plane
    return one, other


CASES = {
    "full rank": drawn(400, 300, 24),
    "rank-deficient": drawn(400, 300, 48, rank=10),
    "fewer rows than features": drawn(20, 30, 64),
    "one covariance regular": drawn(20, 300, 64),
    "a feature that is always 0": tuple(np.pad(rows, ((0, 0), (0, 1))) for rows in drawn(200, 300, 16)),
    "apart in their ranges": (
        np.pad(drawn(50, 9, 8)[0], ((0, 0), (0, 4))),
        np.pad(drawn(60, 9, 8)[0], ((0, 0), (4, 0))),
    ),
    "two rows each": drawn(2, 2, 32),
    "large mean": tuple(rows + 1000 for rows in drawn(400, 300, 24)),
}


def by_singular_values(one: np.ndarray, other: np.ndarray) -> float:
    """The trace of the root is the nuclear norm of the product of the centred sets."""
    sides = [(rows - rows.mean(0)) / np.sqrt(len(rows) - 1) for rows in (one, other)]
    root = np.linalg.svd(sides[0] @ sides[1].T, compute_uv=False).sum()
    gap = one.mean(0) - other.mean(0)
    return float(gap @ gap + sum((side**2).sum() for side in sides) - 2 * root)


def by_symmetric_roots(one: np.ndarray, other: np.ndarray) -> float:
    covariances = [np.cov(rows, rowvar=False) for rows in (one, other)]
    values, vectors = np.linalg.eigh(covariances[0])
    values[values < 1e-12 * values[-1]] = 0
    half = vectors * np.sqrt(values) @ vectors.T
    middle = np.linalg.eigvalsh(half @ covariances[1] @ half)
    middle[middle < 1e-12 * middle[-1]] = 0
    gap = one.mean(0) - other.mean(0)
    return float(gap @ gap + sum(map(np.trace, covariances)) - 2 * np.sqrt(middle).sum())


def directly(one: np.ndarray, other: np.ndarray) -> float:
    covariances = [np.cov(rows, rowvar=False) for rows in (one, other)]
    gap = one.mean(0) - other.mean(0)
    return float(
        gap @ gap + sum(map(np.trace, covariances)) - 2 * np.trace(sqrtm(covariances[0] @ covariances[1]).real)
    )


def streamed(rows: np.ndarray, *ends: int) -> Statistics:
    running = RunningStatistics(rows.shape[1])
    for part in np.split(rows, ends):
        running.add(part)
    return running.statistics()


def of_streams(one: np.ndarray, other: np.ndarray) -> float:
    return frechet_distance(streamed(one, *sorted({1, len(one) // 2})), streamed(other, len(other) // 3 + 1))


# The distance


@pytest.mark.parametrize("distance", [distance_of_sets, of_streams], ids=["of sets", "of streams"])
@pytest.mark.parametrize("case", CASES)
def test_the_distance_is_that_of_independent_computations_and_of_a_set_from_itself_none(
    case: str, distance: Callable[..., float]
) -> None:
    one, other = CASES[case]
    found = distance(one, other)
    assert found == pytest.approx(by_singular_values(one, other), rel=1e-6)
    assert found == pytest.approx(by_symmetric_roots(one, other), rel=1e-6)
    assert found == pytest.approx(distance(other, one), rel=1e-9)
    for rows in CASES[case]:
        assert 0 <= distance(rows, rows[::-1]) <= 1e-6 * np.trace(np.cov(rows, rowvar=False))


def test_the_distance_is_that_of_the_formula_taken_literally() -> None:
    assert distance_of_sets(*CASES["full rank"]) == pytest.approx(directly(*CASES["full rank"]), rel=1e-9)


def test_distributions_with_one_set_of_axes_have_the_distance_of_their_means_and_spreads() -> None:
    one = Statistics(np.array([1.0, 2.0, 3.0]), np.diag([4.0, 9.0, 0.0]))
    other = Statistics(np.array([1.0, 0.0, 3.0]), np.diag([1.0, 25.0, 16.0]))
    assert frechet_distance(one, other) == pytest.approx(2**2 + (2 - 1) ** 2 + (3 - 5) ** 2 + 4**2)


def test_rows_that_do_not_vary_have_the_squared_distance_of_their_means() -> None:
    one, other = np.array([[1.0, 2.0, 3.0]] * 16), np.array([[1.5, 2.0, 0.0]] * 16)
    assert distance_of_sets(one, other) == pytest.approx(0.25 + 9, rel=1e-12)


def test_nearly_equal_sets_have_no_negative_distance() -> None:
    rows = drawn(40, 1, 64)[0]
    shaken = rows + 1e-9 * np.random.default_rng(1).normal(size=rows.shape)
    assert 0 <= distance_of_sets(rows, shaken) < 1e-12


def test_what_is_no_number_does_not_become_a_perfect_distance() -> None:
    one, other = Statistics(np.zeros(2), np.eye(2)), Statistics(np.array([np.nan, 0]), np.eye(2))
    assert np.isnan(frechet_distance(one, other))


# Statistics of a stream


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_streamed_statistics_are_those_of_all_rows(offset: float) -> None:
    rows = drawn(101, 1, 5)[0] + offset
    found = streamed(rows, 1, 2, 40)
    np.testing.assert_allclose(found.mean_D, rows.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(found.covariance_DD, np.cov(rows, rowvar=False), rtol=1e-8, atol=1e-10)


def test_a_single_row_has_no_covariance() -> None:
    running = RunningStatistics(3)
    running.add(np.ones((1, 3)))
    with pytest.raises(ValueError, match="at least 2 rows, there are 1"):
        running.statistics()


# Both kinds, over clips


ROWS = {name: drawn(30 + 5 * number, 1, 12)[0] + number for number, name in enumerate("abcd")}


def features(path: Path) -> np.ndarray:
    if path.stem == "broken":
        raise ClipError("unreadable_video", f"{path.name} holds no frames")
    return ROWS[path.stem]


def shown(video: str, truth: str | None) -> Shown:
    return Shown(Path(f"{video}.mp4"), None if truth is None else Path(f"{truth}.mp4"), None, None)


def measured(*clips: Shown) -> Measured:
    return measure_pairs(clips, "x", NAMES, features, distance_of_sets, num_threads=2)


def test_a_clip_has_the_distance_from_its_truth_and_the_set_that_of_all_rows_together() -> None:
    found = measured(shown("a", "b"), shown("c", "d"))
    assert found.per_clip == [
        {"x/pairwise-mean": pytest.approx(by_singular_values(ROWS["a"], ROWS["b"]))},
        {"x/pairwise-mean": pytest.approx(by_singular_values(ROWS["c"], ROWS["d"]))},
    ]
    together = [np.concatenate([ROWS[one], ROWS[other]]) for one, other in ("ac", "bd")]
    assert found.of_set == {"x/distribution": pytest.approx(by_singular_values(*together))}


def test_the_kinds_differ_though_every_clip_is_the_truth_of_another() -> None:
    found = measured(shown("a", "b"), shown("b", "a"))
    assert found.of_set["x/distribution"] == pytest.approx(0, abs=1e-9)
    assert all(not isinstance(values, ClipError) and values["x/pairwise-mean"] > 1 for values in found.per_clip)


def test_a_clip_that_cannot_be_measured_says_why_and_is_left_out_of_the_distribution() -> None:
    good = measured(shown("a", "b"))
    found = measured(shown("broken", "b"), shown("a", "b"), shown("c", None), shown("c", "broken"))
    assert [str(values) for values in found.per_clip] == [
        "unreadable_video: broken.mp4 holds no frames",
        str(good.per_clip[0]),
        "no_truth: c.mp4 has no true clip to compare with",
        "unreadable_video: broken.mp4 holds no frames",
    ]
    assert found.of_set == good.of_set


def test_many_clips_keep_their_order() -> None:
    clips = [shown("abcd"[number % 4], "abcd"[number % 3]) for number in range(35)]
    each = [measured(clip).per_clip[0] for clip in clips[:12]]
    assert measured(*clips).per_clip == [each[number % 12] for number in range(35)]


@pytest.mark.parametrize("clips", [[], [shown("broken", "a")], [shown("a", None)]])
def test_a_set_without_a_measured_clip_has_no_distribution(clips: list[Shown]) -> None:
    assert measured(*clips).of_set == {}


def test_one_row_per_side_has_no_distribution() -> None:
    found = measure_pairs([shown("a", "b")], "x", NAMES, lambda path: ROWS[path.stem][:1], lambda *_: 1.0, 2)
    assert (found.per_clip, found.of_set) == ([{"x/pairwise-mean": 1.0}], {})


def test_a_gpu_is_fed_by_every_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CMET_WORKERS", "7")
    assert (count_threads(torch.device("cuda")), count_threads(torch.device("cpu"))) == (7, 2)
