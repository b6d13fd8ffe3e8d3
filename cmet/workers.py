"""Worker processes that go through a list of jobs; a job may hang, or end its process.

Each process has a pipe of its own and nothing in common with the others, so that one that is killed holds up nobody,
and the process that has started them has no threads and no locks.
"""

import math
import multiprocessing
import pickle
import signal
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

Job = TypeVar("Job")

LOOK_S = 0.1
"""How often somebody looks at the clock, and at whether the work is to stop."""

END_S = 5.0
"""How long a dead process is waited for; one that waits for a disk that is gone may not end."""


class Hung(Exception):
    """A job took longer than it may; its process was killed."""


class Died(Exception):
    """A process has ended in the middle of a job, or before its first one."""

    def __init__(self, exit_code: int | None) -> None:
        """Keep the code, which is the negative number of a signal; None where it is not known."""
        super().__init__(exit_code)
        self.exit_code = exit_code


def worked_through(
    work: Callable[[Job], None],
    jobs: Iterable[Job],
    num_workers: int,
    begin: Callable[[], None],
    time_limit_s: float | None,
    is_stopped: Callable[[], bool],
) -> Generator[tuple[Job, Exception | None], None, None]:
    """Do jobs in worker processes, and yield each with what went wrong with it, in the order in which they end.

    The processes end when the iterator is closed.

    Args:
        work: Does one job; goes to the processes by pickle.
        jobs: What is to do.
        num_workers: Number of processes.
        begin: What a process does first, before it imports what the work needs.
        time_limit_s: Wall-clock time that a job may take.
        is_stopped: Whether the work is to stop.

    Raises:
        Died: A process ended before its first job.
        KeyboardInterrupt: The work is stopped.
    """
    # fork is no choice: after MediaPipe or decord was used it crashes or hangs
    context = multiprocessing.get_context("spawn")
    # it would undo the blocking of signals
    resource_tracker.ensure_running()
    pickled = pickle.dumps(work)
    waiting = deque(jobs)
    workers = [_Worker(context, begin, pickled) for _ in range(num_workers)]
    try:
        while workers:
            if is_stopped():
                raise KeyboardInterrupt
            for worker in _heard_of(workers, time_limit_s or math.inf):
                job, error = worker.take_outcome()
                is_lost = isinstance(error, Died | Hung)
                if is_lost or not waiting:
                    worker.end()
                    workers.remove(worker)
                else:
                    worker.give(waiting.popleft())
                if is_lost and waiting:
                    workers.append(_Worker(context, begin, pickled))
                if job is not None:
                    yield job, error
                elif error is not None:
                    raise error
    finally:
        # all at once: the end of one may take a while
        for worker in workers:
            worker.process.kill()
        for worker in workers:
            worker.end()


class _Worker:
    """One process, as seen from the one that has started it."""

    def __init__(self, context: multiprocessing.context.SpawnContext, begin: Callable[[], None], work: bytes) -> None:
        self.connection, theirs = context.Pipe()
        self.job: Any = None
        self.given_s = math.inf
        self.is_late = False
        self.process = context.Process(target=_serve, args=(theirs, begin, work), daemon=True)
        with _interrupts_blocked():
            self.process.start()
        theirs.close()

    def give(self, job: Any) -> None:
        """Let it do a job; it has asked for one."""
        self.job, self.given_s = job, time.monotonic()
        with suppress(OSError):  # it has died since, which its outcome will say
            self.connection.send(job)

    def take_outcome(self) -> tuple[Any, Exception | None]:
        """Its job, None before the first one, and what went wrong with that."""
        job, self.job = self.job, None
        if self.is_late:
            return job, Hung()
        try:
            raised = self.connection.recv()
        except (EOFError, OSError):
            self.process.join(END_S)
            return job, Died(self.process.exitcode)
        if raised is None:
            return job, None
        error, trace = raised
        error.__cause__ = RuntimeError(f"\n{trace}")
        return job, error

    def end(self) -> None:
        """Kill it: what it has at hand is wanted no more."""
        self.process.kill()
        self.process.join(END_S)
        self.connection.close()


def _heard_of(workers: list[_Worker], time_limit_s: float) -> list[_Worker]:
    """Those that have something to say, or are dead or late, after a moment's wait."""
    ready = wait([worker.connection for worker in workers], LOOK_S)
    now = time.monotonic()
    for worker in workers:
        worker.is_late = worker.connection not in ready and now - worker.given_s > time_limit_s
    return [worker for worker in workers if worker.is_late or worker.connection in ready]


def _serve(connection: Connection, begin: Callable[[], None], work: bytes) -> None:
    """The life of a worker process."""
    begin()
    do = pickle.loads(work)
    outcome = None
    with suppress(EOFError, OSError):  # whoever has started it is gone
        while True:
            connection.send(outcome)
            outcome = _outcome(do, connection.recv())


def _outcome(work: Callable[[Job], None], job: Job) -> tuple[Exception, str] | None:
    """What the job has raised, and the traceback, which does not travel with it."""
    try:
        work(job)
    except Exception as error:
        return _sendable(error), traceback.format_exc()
    return None


def _sendable(error: Exception) -> Exception:
    """The error, or one that says the same where it would not survive the way."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(repr(error))
    return error


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """A block whose children do not hear Ctrl-C, which goes to all processes of a terminal."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
