"""How processes end when they are told to; whether this is one that torchrun has started, and how to become several."""

import ctypes
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

FIRST = 0
PR_SET_PDEATHSIG = 1

ENDING = (signal.SIGINT, signal.SIGTERM)
"""Signals that ask a process to end."""

GRACE_S = 8.0
"""How long a command that was told to end may tidy up."""


def is_under_torchrun() -> bool:
    """Whether torchrun has started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def is_first_process() -> bool:
    """Whether this process writes the outputs: it is alone, or the first of those that torchrun has started."""
    return not is_under_torchrun() or int(os.environ["RANK"]) == FIRST


def run_under_torchrun(num_processes: int) -> int:
    """Run this process's command several times on this machine, as torchrun does.

    Returns:
        Exit code of the process that failed first, 0 where none did; 128 and the signal after a signal.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # the processes say themselves what went wrong
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    # they write to where this one does
    os.dup2(sys.stderr.fileno(), 2)
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=num_processes,
        run_id=f"cmet-{os.getpid()}",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        # a folder of logs would stay in the temporary folder, with nothing in it
        logs_specs=DefaultLogsSpecs(log_dir=os.devnull),
    )
    try:
        elastic_launch(config, sys.executable)("-u", "-m", "cmet", *sys.argv[1:])
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        return failure.exitcode if failure.exitcode > 0 else 128 - failure.exitcode
    except SignalException as error:
        return 128 + error.sigval
    return 0


def die_with(parent: int) -> None:
    """End this process when its parent ends: an orphan would go on writing into the folder of the run that follows."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


@contextmanager
def signals_held() -> Iterator[Callable[[], bool]]:
    """A block in which Ctrl-C and SIGTERM wait until its end; it is handed what says whether one waits.

    An exception that a handler raises between the taking of a lock and the block that lets it go leaves the lock taken.
    In a thread, where no handler runs, nothing is held.
    """
    came: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        # one that is ignored stays so
        before = {number: signal.getsignal(number) for number in ENDING}
        before = {number: handler for number, handler in before.items() if handler not in (None, signal.SIG_IGN)}
    for number in before:
        signal.signal(number, note)
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def end_soon_after_signals() -> None:
    """End this process for good some seconds after Ctrl-C or SIGTERM, whatever it waits for then.

    The exception that the signal raises may be lost, or leave a lock taken that is waited for as the process ends. Who
    watches is a thread that takes no lock.
    """
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    threading.Thread(target=_end_after_signal, args=(heard,), daemon=True).start()


def _end_after_signal(heard: int) -> None:
    number = 0
    while number not in ENDING:
        number = os.read(heard, 1)[0]
    time.sleep(GRACE_S)
    with suppress(OSError, ValueError):  # whoever would have read it may be gone
        os.write(sys.stderr.fileno(), f"cmet: did not end within {GRACE_S:g} s and was stopped\n".encode())
    os._exit(128 + number)
