"""How processes end when they are told to; whether this is one that torchrun has started, and how to become several."""

import ctypes
import logging
import os
import platform
import re
import signal
import sys
import threading
import time
from argparse import ArgumentError
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING

from cmet.errors import UserError

if TYPE_CHECKING:  # torch takes seconds to import
    from torch.distributed.launcher.api import LaunchConfig

FIRST = 0
PR_SET_PDEATHSIG = 1

USER_ERROR = 2
"""Exit code after an error that is the user's to mend."""

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that ask a process to end."""

GRACE_S = 8.0
"""How long a command that was told to end may tidy up."""


LAUNCHER = "CMET_LAUNCHER"
"""Variable with the number of the process that `run_under_torchrun` runs in."""


class LostProcess(UserError):
    """Another process or machine does not answer, which may be over after a restart; other errors come again."""


class _GivenUp(Exception):
    """A process that was started says that a restart would not help."""


def is_under_torchrun() -> bool:
    """Whether torchrun has started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def is_first_process() -> bool:
    """Whether this process writes the outputs: it is alone, or the first of those that torchrun has started."""
    return not is_under_torchrun() or int(os.environ["RANK"]) == FIRST


def num_nodes() -> int:
    """How many machines torchrun has started this process's command on; 1 without it."""
    return int(os.environ.get("GROUP_WORLD_SIZE", "1"))


def is_restartable() -> bool:
    """Whether torchrun starts this process's command again after a loss."""
    return int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")) > 0


def wanted_launch(num_shares: int) -> "LaunchConfig | None":
    """How torchrun is to start this process's command, as torchrun's own variables say (`PET_NNODES` and so on).

    Without `PET_NPROC_PER_NODE` a machine has one process for each of its GPUs, or as many as share a batch evenly.

    Args:
        num_shares: The number of equal parts that the work can be cut into.

    Returns:
        None where one process without torchrun is enough.

    Raises:
        UserError: A variable has no value that torchrun can use, or nothing says where nodes meet.
    """
    if any(name.startswith("PET_") for name in os.environ):
        # read when torch is imported: a lost connection is told in a sentence, without its stack in C++
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    from torch.distributed.run import config_from_args, get_args_parser

    parser = get_args_parser()
    # or else it prints its help and ends the process
    parser.exit_on_error = False
    try:
        # what to run is told later
        options = parser.parse_args([""])
    except ArgumentError as error:
        raise UserError(f"{_variable(str(error.argument_name))}: {error.message}") from error
    named = re.fullmatch(r"(?:[1-9]\d*:)?([1-9]\d*)", options.nnodes)
    if named is None:
        raise UserError(
            f"PET_NNODES: {options.nnodes!r} is no number of nodes; expected 2, or 1:2 for at least and at most"
        )
    most_nodes = int(named[1])
    if "PET_NPROC_PER_NODE" not in os.environ:
        options.nproc_per_node = str(_processes_per_node(num_shares, most_nodes))
    if "PET_RDZV_BACKEND" not in os.environ and (options.rdzv_endpoint or most_nodes == 1):
        options.rdzv_backend = "c10d"
    if most_nodes == 1:
        options.rdzv_endpoint = options.rdzv_endpoint or "localhost:0"
        options.rdzv_id = os.environ.get("PET_RDZV_ID", f"cmet-{os.getpid()}")
    elif not options.rdzv_endpoint and not {"PET_MASTER_ADDR", "PET_NODE_RANK"} <= os.environ.keys():
        raise UserError(
            f"PET_NNODES: {options.nnodes} nodes, but nothing says where they meet; set PET_RDZV_ENDPOINT=HOST:PORT on "
            "all of them, HOST being one of them"
        )
    # it would warn of OMP_NUM_THREADS, which is set below
    logging.getLogger("torch.distributed.run").setLevel(logging.ERROR)
    try:
        config, _, _ = config_from_args(options)
    except (ValueError, RuntimeError, AssertionError) as error:
        wrong = ", ".join(sorted(name for name in os.environ if name.startswith("PET_")))
        raise UserError(f"{wrong}: torchrun cannot use one of them ({error})") from error
    return config if config.max_nodes * config.nproc_per_node > 1 or config.max_restarts else None


def _variable(option: str) -> str:
    """The variable that torchrun reads for an option."""
    return "PET_" + option.split("/")[0].removeprefix("--").replace("-", "_").upper()


def _processes_per_node(num_shares: int, num_nodes: int) -> int:
    """One for each GPU, or the most of them with which all processes share evenly."""
    import torch

    num_gpus = torch.cuda.device_count()
    num = next((num for num in range(num_gpus, 1, -1) if not num_shares % (num * num_nodes)), 1)
    if num < num_gpus:
        print(
            f"train: uses {num} of {num_gpus} GPUs, since a batch of {num_shares} has no equal parts for more; change "
            "train.batch_size to use all",
            file=sys.stderr,
        )
    return num


def run_under_torchrun(config: "LaunchConfig") -> int:
    """Run this process's command several times, as torchrun does.

    Args:
        config: How many, and where those of other nodes meet.

    Returns:
        Exit code of the process that failed first, 0 where none did; 128 and the signal after a signal.

    Raises:
        UserError: The nodes did not come together.
    """
    from torch.distributed import DistError
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous import (
        RendezvousClosedError,
        RendezvousConnectionError,
        RendezvousTimeoutError,
    )
    from torch.distributed.launcher.api import elastic_launch

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # the store that agents share ends with the agent that has made it: nobody else could go on
    os.environ.setdefault("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
    # the processes say themselves what went wrong; each of these loggers has a level of its own
    for name in [name for name in logging.root.manager.loggerDict if name.startswith("torch.distributed.elastic")]:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # they write to where this one does
    os.dup2(sys.stderr.fileno(), 2)
    # a folder of logs would stay in the temporary folder, with nothing in it
    quiet = replace(config, logs_specs=DefaultLogsSpecs(log_dir=os.devnull))
    where = f"{config.rdzv_endpoint} as {platform.node()} sees it"
    os.environ[LAUNCHER] = str(os.getpid())
    signal.signal(signal.SIGUSR1, _give_up)
    try:
        elastic_launch(quiet, sys.executable)("-u", "-m", "cmet", *sys.argv[1:])
    except _GivenUp:
        return USER_ERROR
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        return failure.exitcode if failure.exitcode > 0 else 128 - failure.exitcode
    except SignalException as error:
        return 128 + error.sigval
    except RendezvousConnectionError as error:
        raise UserError(
            f"PET_RDZV_ENDPOINT: nobody answers at {where}; it must name a node that was started and still runs, "
            "by a name and a port that the others reach"
        ) from error
    except (RendezvousTimeoutError, DistError) as error:
        raise UserError(
            f"PET_NNODES: fewer than {config.min_nodes} nodes met at {where}, in time; start the same command on each, "
            "or wait longer for them (PET_RDZV_CONF=join_timeout=1200, in seconds)"
        ) from error
    except RendezvousClosedError as error:
        raise UserError(
            "another node has ended this run; see what is told there, then start it on all nodes"
        ) from error
    finally:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    return 0


def _give_up(*_: object) -> None:
    # several processes may say so
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    raise _GivenUp


def refuse_restart() -> None:
    """Tell who has started this process several times, if somebody has, that the error will come again."""
    if os.environ.get(LAUNCHER) == str(os.getppid()):
        os.kill(os.getppid(), signal.SIGUSR1)


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
    """End this process for good some seconds after a signal to end, whatever it waits for then.

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
