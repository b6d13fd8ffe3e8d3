"""Whether this process is one of several that torchrun has started, and how to become so."""

import os
import sys

FIRST = 0


def is_under_torchrun() -> bool:
    """Whether torchrun has started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def is_first_process() -> bool:
    """Whether this process writes the outputs: it is alone, or the first of those that torchrun has started."""
    return not is_under_torchrun() or int(os.environ["RANK"]) == FIRST


def restart_under_torchrun(num_processes: int) -> None:
    """Replace this process by torchrun, which starts its command several times on this machine."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={num_processes}"]
    os.execv(sys.executable, [sys.executable, *launcher, "-m", "cmet", *sys.argv[1:]])
