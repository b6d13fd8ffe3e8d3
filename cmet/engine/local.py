"""A map over clips on this machine."""

import pickle
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cmet.engine.attempts import Attempt, Desk, Ended, Job, Record
from cmet.engine.pool import Pool
from cmet.environment import NUM_WORKERS_ON_GPU, count_workers, usable_gpus


@dataclass(frozen=True)
class Order:
    """What a map asks of whoever does the work."""

    function: Callable[[Job, Path], Record]
    label: str
    desk: Desk
    """On this machine."""
    time_limit_s: float | None
    num_workers: int | None
    """Processes on a machine; None is what fills it."""
    uses_networks: bool
    """Whether GPUs serve, which few processes can share."""


class Hands(Protocol):
    """Whoever does the work."""

    def give(self, attempts: Iterable[Attempt]) -> None:
        """Take attempts on; those after a loss come first."""

    def ended(self) -> list[Ended]:
        """What has ended, in the order in which it did, after at most a moment's wait.

        Raises:
            Died: A process ended before its first attempt.
        """


@contextmanager
def local_hands(order: Order, num_clips: int) -> Iterator[Hands]:
    """The processes of this machine, which end with the block.

    Args:
        order: What they are to do.
        num_clips: There are no more processes than clips.
    """
    gpus = usable_gpus() if order.uses_networks else []
    num_workers = order.num_workers or (NUM_WORKERS_ON_GPU * len(gpus) if gpus else count_workers())
    function = pickle.dumps(order.function)
    with closing(Pool(function, order.desk, min(num_workers, num_clips), gpus, order.time_limit_s)) as pool:
        yield pool
