"""Our networks against the numbers of the published ones; `python -m tests.golden.differences` prints them."""

import pytest

from tests.golden.differences import table
from tests.golden.ours import FILES, compared, difference


@pytest.mark.parametrize(("file", "array"), [(file, array) for file in FILES for array in compared(file)])
def test_values_are_the_published_ones(file: str, array: str) -> None:
    found = difference(file, array)
    assert found.is_within, table([found])
