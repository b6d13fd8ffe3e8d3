"""Functions for a clip map to apply; a worker that begins imports no more than this."""

import os
import signal
import tempfile
import time
from pathlib import Path

from cmet.engine import Job, Record
from cmet.errors import ClipError, UserError


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
    """A function that can only be read by two processes at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __setstate__(self, state: dict) -> None:
        folder = state["folder"]
        (folder / str(os.getpid())).touch()
        end = time.monotonic() + 60
        while len(list(folder.iterdir())) < 2:
            if time.monotonic() > end:
                raise TimeoutError("the other process does not come")
            time.sleep(0.01)

    def __call__(self, job: Job, folder: Path) -> Record:
        return {}


class Awkward(Exception):
    """Cannot be read by the process that it is sent to."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(f"{one} and {other}")


def fail(job: Job, folder: Path) -> Record:
    raise Awkward("this", "that")


def jobs(*values: int | str) -> list[Job]:
    return [{"clip_id": f"clip{value}", "value": value} for value in values]
