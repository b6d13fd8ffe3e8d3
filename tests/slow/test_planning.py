"""The steps of `make bench ROWS=planning`, on a corpus that is small."""

from pathlib import Path

from tests.bench_planning import STEPS, planned, table_of

NUM_CLIPS = 4 * 670
"""Four speakers: one of them for the test, and one for validation."""


def test_each_step_is_planned_and_measured_and_nothing_stays(tmp_path: Path) -> None:
    costs = list(planned(NUM_CLIPS, tmp_path))
    assert [cost.step for cost in costs] == list(STEPS)
    assert all(cost.core_s > 0.1 and 50 < cost.peak_mib < 2000 for cost in costs)
    assert f"| {NUM_CLIPS:,} |" in table_of(costs)
    assert list(tmp_path.iterdir()) == []
