"""Clip maps without worker processes, for tests in which starting those takes longer than their work."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from cmet import engine
from cmet.engine import ClipMap
from cmet.progress import Progress


@contextmanager
def without_workers() -> Iterator[None]:
    """Every clip is done in this process; one that crashes or hangs would take it along."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClipMap, "_run_pool", _in_this_process)
        yield


def _in_this_process(clip_map: ClipMap, todo: Sequence[engine.Job], _num_workers: int, bar: Progress) -> None:
    for job in todo:
        engine._process(clip_map.function, clip_map.work, job)
        bar.update()
