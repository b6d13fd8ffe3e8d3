"""Functions for a clip map to apply; a worker that begins imports no more than this."""

import os
import re
import signal
import sys
import tempfile
import time
from pathlib import Path

from cmet.engine.attempts import Job, Record
from cmet.errors import ClipError, UserError

LONG_S = 600


def write_double(job: Job, folder: Path) -> Record:
    value = job["value"]
    (folder / "numbers").mkdir(exist_ok=True)
    (folder / "numbers" / f"{job['clip_id']}.txt").write_text(str(2 * value))
    if value < 0:
        raise ClipError("negative", f"{value} is below zero")
    if value == 98:
        raise UserError("98 is made of other files")
    if value == 99:
        raise ZeroDivisionError
    return {"double": 2 * value, "process": os.getpid()}


def misbehave(job: Job, folder: Path) -> Record:
    """Hang, or die of a signal, with files lying about."""
    (folder / "half.mp4").write_bytes(b"half a clip")
    tempfile.mkstemp()
    if job["value"] == "hang":
        time.sleep(600)
    if job["value"]:
        os.kill(os.getpid(), getattr(signal, job["value"]))
    (folder / "half.mp4").replace(folder / f"{job['clip_id']}.mp4")
    return {}


def tell_shared_memory(job: Job, folder: Path) -> Record:
    """The shared memory of a worker at work: a lock in there would stay taken where its holder is killed."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return {"shared": [line for line in lines if "/dev/shm/" in line]}


class Meeting:
    """A function that can only be read by some processes at once, and tells each one's GPU."""

    def __init__(self, folder: Path, num_processes: int = 2) -> None:
        self.folder, self.num_processes = folder, num_processes

    def __setstate__(self, state: dict) -> None:
        self.__dict__ = state
        self._wait("begun")

    def __call__(self, job: Job, folder: Path) -> Record:
        self._wait("working")
        return {"gpu": os.environ.get("CUDA_VISIBLE_DEVICES")}

    def _wait(self, what: str) -> None:
        (self.folder / f"{what}-{os.getpid()}").touch()
        end = time.monotonic() + LONG_S
        while len(list(self.folder.glob(f"{what}-*"))) < self.num_processes:
            if time.monotonic() > end:
                raise TimeoutError("the others do not come")
            time.sleep(0.01)


class Crowded:
    """A function for which the memory suffices up to a number of processes; of more, one is killed."""

    def __init__(self, folder: Path, most: int) -> None:
        self.folder, self.most = folder, most

    def __call__(self, job: Job, folder: Path) -> Record:
        own = self.folder / str(os.getpid())
        own.touch()
        time.sleep(0.5)
        if len(list(self.folder.iterdir())) > self.most:
            own.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        own.unlink()
        return {}


class Unreadable:
    """A function that no process can read."""

    def __setstate__(self, state: dict) -> None:
        sys.exit(3)

    def __getstate__(self) -> dict:
        return {"kept": True}


class Awkward(Exception):
    """Cannot be read by the process that it is sent to."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(f"{one} and {other}")


def fail(job: Job, folder: Path) -> Record:
    raise Awkward("this", "that")


def jobs(*values: int | str) -> list[Job]:
    return [{"clip_id": f"clip{value}", "value": value} for value in values]


def work_slowly(job: Job, folder: Path) -> Record:
    """Takes a moment, and tells beside the map which node and which worker did what; waits for nodes or a gate."""
    log_path = Path(job["log"])
    with log_path.open("a") as log:
        log.write(f"{os.getppid()} {os.getpid()} {job['clip_id']}\n")
    time.sleep(job["takes_s"])
    while job["value"] >= 5 and len(set(re.findall(r"^\d+", log_path.read_text(), re.M))) < job["num_nodes"]:
        time.sleep(0.1)
    while job["value"] >= 20 and job["gate"] and not Path(job["gate"]).exists():
        time.sleep(0.1)
    (folder / "numbers").mkdir(exist_ok=True)
    (folder / "numbers" / f"{job['clip_id']}.txt").write_text(str(3 * job["value"]))
    if job["value"] % 10 == 7:
        raise ClipError("seven", f"{job['value']} ends with a seven")
    if job["value"] == 5:
        print("five has something to say", file=sys.stderr)
    return {"triple": 3 * job["value"]}


def burn(job: Job, folder: Path) -> Record:
    """Keep a core busy, and tell beside the map when."""
    begun, end = time.time(), time.process_time() + job["busy_s"]
    while time.process_time() < end:
        pass
    with Path(job["log"]).open("a") as log:
        log.write(f"{begun} {time.time()}\n")
    return {}


def nothing(job: Job, folder: Path) -> Record:
    return {}
