"""A small map over clips for clusters that are disturbed, and what has to come of it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cmet.engine.attempts import Job, Record
from cmet.engine.clip_map import ClipMap
from tests.clip_jobs import work_slowly

NUM_CLIPS = 40
LIMIT_S = 180

Result = tuple[list[Record], dict[str, bytes]]
"""Records, and the files that are published."""


def result(folder: Path, takes_s: float, num_nodes: int = 1, gate: Path | None = None) -> Result:
    """What comes of the clips, where RAY_ADDRESS says.

    Args:
        folder: A new one, or that of a run that was ended.
        takes_s: A clip takes this long.
        num_nodes: The map does not end before so many nodes were at work.
        gate: Nor before this file is there.
    """
    common = {"takes_s": takes_s, "log": str(folder / "log"), "num_nodes": num_nodes, "gate": gate and str(gate)}
    jobs: list[Job] = [{"clip_id": f"clip{value}", "value": value, **common} for value in range(NUM_CLIPS)]
    clip_map = ClipMap(work_slowly, folder / "work", "test")
    records = clip_map.run(jobs)
    assert list((folder / "work/done").iterdir()) == []
    out = folder / "out"
    clip_map.publish(out)
    return records, {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def log_of(folder: Path) -> list[list[str]]:
    """Node, worker and clip of every attempt that has begun."""
    path = folder / "log"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


@contextmanager
def after_attempts(folder: Path, num_attempts: int, act: Callable[[], object]) -> Iterator[None]:
    """A block beside which something happens when some attempts have begun."""
    happened: list[bool] = []

    def wait() -> None:
        wait_until(lambda: len(log_of(folder)) >= num_attempts)
        act()
        happened.append(True)

    thread = threading.Thread(target=wait)
    thread.start()
    yield
    thread.join()
    assert happened


def wait_until(is_true: Callable[[], object]) -> None:
    end = time.monotonic() + LIMIT_S
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.02)
