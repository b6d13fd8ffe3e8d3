"""A small version of the row of `make bench`."""

from pathlib import Path

import pytest

from tests.bench_weights import killed_while_downloading


@pytest.mark.parametrize("is_hub", [True, False])
def test_a_killed_download_goes_on_where_it_was(tmp_path: Path, is_hub: bool) -> None:
    seen = killed_while_downloading(tmp_path, is_hub, num_kills=1, size_mib=4)
    assert (seen.num_kills, seen.num_broken, seen.num_from_elsewhere) == (1, 0, 0)
    assert seen.num_rounds >= 1
    assert seen.sent_share < 1.1
