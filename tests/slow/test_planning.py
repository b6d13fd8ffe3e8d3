"""The steps of `make bench ROWS=planning,dvc`, on a corpus that is small."""

from pathlib import Path

import pytest

from cmet.vocabulary import TARGET_EMOTIONS
from tests import bench_dvc, bench_planning
from tests.bench_planning import LEVELS, STEPS, planned, table_of

NUM_SENTENCES = 5
NUM_CLIPS = 3 * NUM_SENTENCES * (1 + len(TARGET_EMOTIONS) * len(LEVELS))
"""Three speakers: one for training, one for validation and one for the test."""

NUM_MADE = 120


def test_each_step_is_planned_and_measured_and_nothing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NUM_SENTENCES", "NUM_NEUTRAL"):
        monkeypatch.setattr(bench_planning, name, NUM_SENTENCES)
    costs = list(planned(NUM_CLIPS, tmp_path))
    assert [cost.step for cost in costs] == list(STEPS)
    assert all(cost.core_s > 0.1 and 50 < cost.peak_mib < 2000 for cost in costs)
    assert f" {NUM_CLIPS:,} |" in table_of(costs)
    assert list(tmp_path.iterdir()) == []


def test_dvc_has_nothing_to_do_and_is_measured(tmp_path: Path) -> None:
    costs = list(bench_dvc.idle(NUM_MADE, tmp_path))
    assert [cost.command for cost in costs] == list(bench_dvc.COMMANDS)
    assert all(cost.core_s > 0.1 and cost.peak_mib > 20 for cost in costs)
    # pictures, sounds, tracks, codes, four methods of edits, one shard
    assert costs[0].num_files > 4 * 4 + 4 + 1
    assert f"| {NUM_MADE} |" in bench_dvc.table_of(costs)
