import numpy as np
import pytest

from cmet.extended.intervals import ClipBootstrap, cosines, share

VECTORS = np.random.default_rng(0).normal(size=(8, 5)) + [3, 0, 0, 0, 0]


def lengths(means: np.ndarray) -> np.ndarray:
    return np.linalg.norm(means, axis=1)[:, None]


def test_the_same_seed_gives_the_same_interval_and_another_one_another() -> None:
    first, again, other = (ClipBootstrap(8, seed).of_mean(VECTORS, lengths)[0] for seed in (1, 1, 2))
    assert first == again
    assert first.value == other.value and (first.low, first.high) != (other.low, other.high)
    assert first.low is not None and first.high is not None and first.value is not None
    assert first.low < first.value < first.high and first.n == 8


def test_consistency_is_the_mean_cosine_of_all_pairs_of_different_clips() -> None:
    found = ClipBootstrap(8, 0).consistency(VECTORS, "clip")
    pairs = cosines(VECTORS, VECTORS)[np.triu_indices(8, 1)]
    assert found.value == pytest.approx(pairs.mean())
    assert found.low is not None and found.high is not None and found.low < pairs.mean() < found.high < 1


def test_a_clip_drawn_twice_is_no_pair_with_itself() -> None:
    opposite = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])
    found = ClipBootstrap(3, 0).consistency(opposite, "clip")
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_one_clip_has_no_consistency_and_two_have_no_interval() -> None:
    one = ClipBootstrap(1, 0).consistency(VECTORS[:1], "clip")
    assert (one.value, one.reason) == (None, "only one clip")
    two = ClipBootstrap(2, 0).consistency(VECTORS[:2], "speaker")
    assert two.value is not None and (two.low, two.high, two.reason) == (None, None, None)


def test_a_direction_of_no_length_has_no_cosine() -> None:
    [found] = ClipBootstrap(3, 0).of_mean(np.zeros((3, 2)), lambda means: cosines(means, np.ones((1, 2))))
    assert (found.value, found.reason) == (None, "a direction of length zero")


@pytest.mark.parametrize(("hits", "n"), [(0, 12), (12, 12)])
def test_a_share_has_an_interval_at_its_ends_too(hits: int, n: int) -> None:
    found = share(hits, n)
    assert found.low is not None and found.high is not None
    assert found.value == hits / n and found.high - found.low > 0.2
    assert share(0, 0).reason == "no clip"
