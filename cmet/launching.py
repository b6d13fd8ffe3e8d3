"""Whether this process is one of several that torchrun has started, and how to become several."""

import ctypes
import logging
import os
import signal
import sys

FIRST = 0
PR_SET_PDEATHSIG = 1


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
        logs_specs=DefaultLogsSpecs(),
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
