"""Maps over clips whose records are used at once and kept nowhere."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from cmet.engine.attempts import Job, Record
from cmet.engine.clip_map import ClipMap
from cmet.places import PASSING, WORK


@contextmanager
def passing_map(function: Callable[[Job, Path], Record], label: str) -> Iterator[ClipMap]:
    """A map whose work folder is gone after the block.

    Args:
        function: Of the map.
        label: Of its progress bar.
    """
    place = None
    if os.environ.get("RAY_ADDRESS"):
        # other nodes see nothing of this machine but the folder in which the command runs
        place = Path.cwd() / WORK / PASSING
        place.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="cmet-map-", dir=place) as folder:
        yield ClipMap(function, Path(folder), label)
