"""Worker processes that go through a list of attempts; one may hang, or end its process.

Each process has a pipe of its own and nothing in common with the others, so that one that is killed holds up nobody,
and the process that has started them has no threads and no locks.
"""

import math
import multiprocessing
import os
import pickle
import signal
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path

from cmet.engine.attempts import Attempt, Desk, Ended, Job, Record, make_attempt, start_worker

LOOK_S = 0.1
"""How often somebody looks at the clock, and at whether the work is to stop."""

END_S = 5.0
"""How long a dead process is waited for; one that waits for a disk that is gone may not end."""

MAX_LOST = 3
"""Times that a worker may be lost with a clip, or in a row before its first one."""

GROW_AFTER = 10
"""Clips for each worker that end well in a row before there is one worker more again."""


_Said = tuple[bytes, Exception | None, str]
"""What a worker tells of an attempt: the line, what the work has raised, and where, which does not travel with that."""


class Hung(Exception):
    """An attempt took longer than it may; its process was killed."""


class Died(Exception):
    """A process has ended in the middle of an attempt, or before its first one."""

    def __init__(self, exit_code: int | None) -> None:
        """Keep the code, which is the negative number of a signal; None where it is not known."""
        super().__init__(exit_code)
        self.exit_code = exit_code

    @property
    def is_killed(self) -> bool:
        """Whether it was SIGKILL, which comes from outside, mostly for lack of memory."""
        return self.exit_code == -signal.SIGKILL


class LostAttempt(Exception):
    """The machine of an attempt is gone, or all its processes."""


class Pool:
    """Worker processes on this machine.

    One that is killed from outside has probably taken too much memory together with the others: from then on there are
    half as many, and one more again after some clips have ended well. An attempt at a clip that was lost once runs
    beside at most half of all workers, and after that alone.
    """

    def __init__(
        self,
        function: bytes,
        desk: Desk,
        size: int,
        gpus: Sequence[str],
        time_limit_s: float | None,
        starting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Start the processes; the thread that does so has to live as long as they do.

        Args:
            function: Pickle of the map's function.
            desk: Where it works.
            size: Number of processes.
            gpus: Names of GPUs that the processes are handed in turn.
            time_limit_s: Wall-clock time that an attempt may take.
            starting: A block in which a process is started.
        """
        # fork is no choice: after MediaPipe or decord was used it crashes or hangs
        self._context = multiprocessing.get_context("spawn")
        # it would undo the blocking of signals
        resource_tracker.ensure_running()
        self._arguments = (os.getpid(), gpus, desk, function)
        self._starting = starting
        self._time_limit_s = time_limit_s or math.inf
        self._full = self._size = size
        self._num_well = self._num_lost_starts = 0
        self._waiting: deque[Attempt] = deque()
        self._workers: list[_Worker] = []
        self._fill()

    def give(self, attempts: Iterable[Attempt]) -> None:
        """Take attempts on; those after a loss come first."""
        for attempt in attempts:
            if attempt.num_lost:
                self._waiting.appendleft(attempt)
            else:
                self._waiting.append(attempt)
        self._hand_out()

    def ended(self, patience_s: float = LOOK_S) -> list[Ended]:
        """What has ended, in the order in which it did, after at most a moment's wait.

        Raises:
            Died: A process ended before its first attempt.
        """
        outcomes = []
        for worker in _heard_of(self._workers, self._time_limit_s, patience_s):
            attempt = worker.attempt
            line, error, trace = worker.take_outcome()
            if isinstance(error, Died | Hung):
                self._lose(worker, error)
            else:
                self._num_lost_starts = 0
            if attempt is not None:
                self._num_well += error is None
                outcomes.append(Ended(attempt, line, error, trace))
            # at once: the next one may have to be waited for
            self._hand_out()
        self._fill()
        return outcomes

    @property
    def num_at_hand(self) -> int:
        """Attempts that have not ended."""
        return len(self._waiting) + self._num_at_work

    def close(self) -> None:
        """End the processes; what they have at hand is wanted no more."""
        # all at once: the end of one may take a while
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.end()
        self._workers.clear()

    @property
    def _num_at_work(self) -> int:
        return sum(worker.attempt is not None for worker in self._workers)

    def _hand_out(self) -> None:
        """Give to idle workers what waits, as far as that may run beside what is at work."""
        idle = [worker for worker in self._workers if worker.is_idle]
        while self._waiting and idle:
            at_work = [worker.attempt for worker in self._workers if worker.attempt is not None]
            if len(at_work) >= min(self._size, *map(self._beside, [*at_work, self._waiting[0]])):
                return
            idle.pop(0).give(self._waiting.popleft())

    def _beside(self, attempt: Attempt) -> int:
        """How many workers may be at work with an attempt, its own among them."""
        if attempt.num_lost == 0:
            return self._full
        return max(1, self._full // 2) if attempt.num_lost < MAX_LOST - 1 else 1

    def _fill(self) -> None:
        """Have as many workers as there should be."""
        if self._size < self._full and self._num_well >= GROW_AFTER * self._size:
            self._size, self._num_well = self._size + 1, 0
        for worker in [worker for worker in self._workers if worker.is_idle][: max(0, len(self._workers) - self._size)]:
            worker.end()
            self._workers.remove(worker)
        while len(self._workers) < self._size:
            number = min(set(range(self._size)) - {worker.number for worker in self._workers})
            with self._starting(), _interrupts_blocked():
                self._workers.append(_Worker(self._context, number, self._arguments))

    def _lose(self, worker: "_Worker", error: Died | Hung) -> None:
        """Take a dead worker off the list."""
        is_killed = isinstance(error, Died) and error.is_killed
        worker.end()
        self._workers.remove(worker)
        if is_killed:
            self._size, self._num_well = max(1, self._size // 2), 0
        if not worker.is_begun:
            self._num_lost_starts += 1
            if not is_killed or self._num_lost_starts == MAX_LOST:
                raise error


class _Worker:
    """One process, as seen from the one that has started it."""

    def __init__(
        self,
        context: multiprocessing.context.SpawnContext,
        number: int,
        arguments: tuple[int, Sequence[str], Desk, bytes],
    ) -> None:
        self.connection, theirs = context.Pipe()
        self.number = number
        self.attempt: Attempt | None = None
        self.is_begun = False
        self.given_s = math.inf
        self.is_late = False
        self.process = context.Process(target=_serve, args=(theirs, number, *arguments), daemon=True)
        self.process.start()
        theirs.close()

    @property
    def is_idle(self) -> bool:
        """Whether it has asked for an attempt and has none."""
        return self.is_begun and self.attempt is None

    def give(self, attempt: Attempt) -> None:
        """Let it make an attempt; it has asked for one."""
        self.attempt, self.given_s = attempt, time.monotonic()
        with suppress(OSError):  # it has died since, which its outcome will say
            self.connection.send(attempt)

    def take_outcome(self) -> _Said:
        """How its attempt has ended, or that it has begun."""
        self.attempt, self.given_s = None, math.inf
        if self.is_late:
            return b"", Hung(), ""
        try:
            said: _Said = self.connection.recv()
        except (EOFError, OSError):
            self.process.join(END_S)
            return b"", Died(self.process.exitcode), ""
        self.is_begun = True
        return said

    def end(self) -> None:
        """Kill it: what it has at hand is wanted no more."""
        self.process.kill()
        self.process.join(END_S)
        self.connection.close()


def _heard_of(workers: list[_Worker], time_limit_s: float, patience_s: float) -> list[_Worker]:
    """Those that have something to say, or are dead or late, after at most some seconds."""
    ready = wait([worker.connection for worker in workers], patience_s)
    now = time.monotonic()
    for worker in workers:
        worker.is_late = worker.connection not in ready and now - worker.given_s > time_limit_s
    return [worker for worker in workers if worker.is_late or worker.connection in ready]


def _serve(connection: Connection, number: int, parent: int, gpus: Sequence[str], desk: Desk, pickled: bytes) -> None:
    """The life of a worker process."""
    start_worker(parent, desk.unfinished, gpus, number)
    function = pickle.loads(pickled)
    outcome: _Said = (b"", None, "")
    with suppress(EOFError, OSError):  # whoever has started it is gone
        while True:
            connection.send(outcome)
            outcome = _outcome(function, desk, connection.recv())


def _outcome(function: Callable[[Job, Path], Record], desk: Desk, attempt: Attempt) -> _Said:
    try:
        return make_attempt(function, desk, attempt), None, ""
    except Exception as error:
        return b"", _sendable(error), traceback.format_exc()


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
