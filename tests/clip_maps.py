"""Clip maps without worker processes, for tests in which starting those takes longer than their work."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from cmet.engine.attempts import Attempt, Job, make_attempt
from cmet.engine.clip_map import ClipMap
from cmet.engine.local import Order


@contextmanager
def without_workers() -> Iterator[None]:
    """Every clip is done in this process; one that crashes or hangs would take it along."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClipMap, "_worked_off", _in_this_process)
        yield


def _in_this_process(
    _clip_map: ClipMap, todo: Sequence[Job], order: Order
) -> Generator[tuple[bytes, Path], None, None]:
    for job in todo:
        attempt = Attempt(job, f"{job['clip_id']}.1")
        yield make_attempt(order.function, order.desk, attempt), order.desk.done / attempt.name
