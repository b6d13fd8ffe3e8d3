"""What a printed percentage says of the rows behind it: a share of right rows is a whole number out of all of them."""

from collections.abc import Iterable, Sequence

HALF_A_STEP = 0.005
"""Percentages are printed with two decimals."""


def right_rows(percentage: float, num_rows: int) -> int | None:
    """The number of right rows that a printed percentage stands for, None where no whole number rounds to it."""
    expected = percentage * num_rows / 100
    # two roundings of floats, far smaller than any row
    slack = HALF_A_STEP * num_rows / 100 + 1e-9
    nearest = round(expected)
    return nearest if abs(expected - nearest) <= slack else None


def not_whole(percentages: Iterable[float], num_rows: int) -> list[float]:
    """The printed percentages that no whole number of right rows out of `num_rows` can give."""
    return [value for value in percentages if right_rows(value, num_rows) is None]


def fitting_numbers_of_rows(percentages: Sequence[float], candidates: Iterable[int]) -> list[int]:
    """The numbers of rows out of which every one of the printed percentages is a whole number of right ones."""
    return [num_rows for num_rows in candidates if not not_whole(percentages, num_rows)]
