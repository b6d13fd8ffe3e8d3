"""What the model of a cluster says where the answer is plain."""

import pytest

from tests.simulate_cluster import CLUSTER_JOBS_PER_S, CORES_PER_NODE, DISK_MIB_S, STORAGE_MIB_S, Rate, stage_time

JOBS_PER_S = 5000.0
NOTHING = Rate(share=1.0, worker_s=0.0, driver_s=0.0, start_s=0.0, read_mib=0.0, written_mib=0.0, driver_mib=0.0)


def rate(**changes: float) -> Rate:
    return Rate(**vars(NOTHING) | changes)


@pytest.mark.parametrize(
    ("stage", "num_nodes", "wall_s", "by"),
    [
        (rate(worker_s=1.0), 1, 10_000 / CORES_PER_NODE, "cores"),
        (rate(worker_s=0.001), 100, 10_000 / CLUSTER_JOBS_PER_S, "driver"),
        (rate(worker_s=0.001, read_mib=10, written_mib=10), 1, 200_000 / DISK_MIB_S, "storage"),
        (rate(worker_s=0.001, read_mib=10, written_mib=10), 100, 200_000 / STORAGE_MIB_S, "storage"),
        (rate(driver_s=0.1), 100, 1000, "one thread"),
        (rate(start_s=9), 1, 9, "start"),
        (rate(share=0.1, driver_s=0.1), 10, 100, "one thread"),
    ],
)
def test_a_stage_takes_as_long_as_what_it_waits_for(stage: Rate, num_nodes: int, wall_s: float, by: str) -> None:
    found = stage_time(stage, 10_000, num_nodes, JOBS_PER_S)
    assert found.by == by
    assert found.wall_s == pytest.approx(wall_s)


def test_what_one_thread_does_alone_is_not_shortened_by_nodes() -> None:
    stage = rate(worker_s=1.0, driver_s=0.01)
    alone = 10_000 * (stage.driver_s - 1 / JOBS_PER_S)
    for num_nodes in (1, 10, 100):
        mapped = stage_time(rate(worker_s=1.0, driver_s=0.0), 10_000, num_nodes, JOBS_PER_S).wall_s
        assert stage_time(stage, 10_000, num_nodes, JOBS_PER_S).wall_s == pytest.approx(mapped + alone)
