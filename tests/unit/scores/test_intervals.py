"""How far a share is known; test_tables.py has the bootstrap."""

import math

import pytest

from cmet.scores.intervals import wilson_interval


def test_the_wilson_interval_is_where_the_share_is_just_as_far_as_its_own_spread() -> None:
    num_right, num_rows = 639, 1143
    for end in wilson_interval(num_right, num_rows, 0.95):
        spread = math.sqrt(end * (1 - end) / num_rows)
        assert abs(end - num_right / num_rows) == pytest.approx(1.959964 * spread, rel=1e-6)
    low, high = wilson_interval(num_right, num_rows, 0.95)
    assert (high - low) / 2 == pytest.approx(0.029, abs=0.0005)


def test_a_share_of_none_or_all_has_an_interval_with_a_width() -> None:
    assert wilson_interval(0, 10, 0.95) == pytest.approx((0, 1 - wilson_interval(10, 10, 0.95)[0]))
    assert wilson_interval(0, 10, 0.95)[1] > 0.2
