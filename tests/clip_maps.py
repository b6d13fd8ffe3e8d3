"""Clip maps without worker processes, for tests in which starting those takes longer than their work."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager

import pytest

from cmet import engine
from cmet.engine import ClipMap


@contextmanager
def without_workers() -> Iterator[None]:
    """Every clip is done in this process; one that crashes or hangs would take it along."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClipMap, "_worked_off", _in_this_process)
        yield


def _in_this_process(
    clip_map: ClipMap, todo: Sequence[engine.Job], _num_workers: int
) -> Generator[engine.Job, None, None]:
    for job in todo:
        engine._process(clip_map.function, clip_map.work, job)
        yield job
