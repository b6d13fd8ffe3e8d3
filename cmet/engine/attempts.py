"""One attempt at one clip: what a worker is handed, the folder in which it works, and how its result is handed in."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from cmet.errors import ClipError, UserError
from cmet.launching import die_with
from cmet.native_logs import silence_native_logs
from cmet.outputs import full_disk, no_room_left, no_room_said

Job = dict[str, Any]
"""What a worker needs for one clip: plain values, `clip_id` among them.

There may be a `stamp`: plain JSON values that tell one state of the clip's sources from another. What was finished
under another stamp is done anew.
"""

Record = dict[str, Any]
"""What a worker reports about one clip: plain JSON values; the engine adds `clip_id`, `status` and `reason`."""

RECORD = "record.json"


class Finished(TypedDict):
    """A finished clip."""

    record: Record
    stamp: Any
    """That of the job."""
    files: list[str]
    """Their names; they stay here when the files are moved or packed."""


@dataclass(frozen=True)
class Attempt:
    """A clip that a worker is to do."""

    job: Job
    name: str
    """Names its folder; no other attempt at any clip has it, nor one of another run."""
    num_lost: int = 0
    """Attempts before this one whose worker was killed from outside or whose machine was lost."""


@dataclass(frozen=True)
class Ended:
    """How an attempt has ended."""

    attempt: Attempt
    line: bytes = b""
    """The clip as a line of JSON, see `Finished`; its files have been handed in."""
    error: Exception | None = None
    trace: str = ""
    """Where the work has raised the error."""


@dataclass(frozen=True)
class Desk:
    """Where attempts are made, and where their results are handed in."""

    unfinished: Path
    done: Path
    spare: Path
    """Has folders without files, on the disk of `done`."""
    node: str | None = None
    """The machine that `unfinished` is on, if that is a disk of its own."""

    def begin(self, name: str) -> Path:
        """A folder without files for an attempt."""
        folder = self.unfinished / name
        if self.node is None:
            self._empty(folder)
        else:
            folder.mkdir()
        return folder

    def hand_in(self, folder: Path) -> None:
        """Let the folder of an attempt appear among the done ones, whole."""
        target = self.done / folder.name
        if self.node is None:
            folder.replace(target)
            return
        hidden = self.done / f".{folder.name}"
        self._empty(hidden)
        shutil.copytree(folder, hidden, copy_function=shutil.copyfile, dirs_exist_ok=True)
        hidden.replace(target)
        shutil.rmtree(folder)

    def _empty(self, folder: Path) -> None:
        """Make a folder of a spare one, or a new one; where a run is over there is none in which it could be."""
        with suppress(FileNotFoundError), os.scandir(self.spare) as spares:
            for spare in spares:
                with suppress(FileNotFoundError):  # another worker was first
                    os.rename(spare, folder)  # noqa: PTH104 - there is no path yet
                    return
        folder.mkdir()

    def full(self, error: Exception) -> UserError | None:
        """The sentence about a disk that is full, if an error came of that."""
        said = no_room_said(error) or no_room_left(self.done) or no_room_left(self.unfinished)
        if said is None:
            return None
        place = str(self.done.parent)
        return full_disk(f"{place}, or {self.unfinished} on {self.node}" if self.node else place, said)


def make_attempt(function: Callable[[Job, Path], Record], desk: Desk, attempt: Attempt) -> bytes:
    """Do one clip and hand it in; returns its line for the records.

    Raises:
        UserError: A disk is full.
    """
    try:
        folder = desk.begin(attempt.name)
        line = finished_line(attempt.job, _record_of(function, attempt.job, folder), folder)
        (folder / RECORD).write_bytes(line)
        desk.hand_in(folder)
    except Exception as error:
        said = desk.full(error)
        if said is None:
            raise
        raise said from error
    return line


def start_worker(parent: int, temporary: Path, gpus: Sequence[str], number: int) -> None:
    """What a worker process does first.

    Args:
        parent: The process that has started it.
        temporary: Folder for temporary files; a killed worker cannot clean up, but this folder is emptied by others.
        gpus: Names of GPUs that workers share, as CUDA_VISIBLE_DEVICES has them.
        number: Counts the workers that there are at a time, from 0.
    """
    die_with(parent)
    tempfile.tempdir = str(temporary)
    # one thread per worker: the pool already fills the cores
    os.environ.update(OMP_NUM_THREADS="1")
    if gpus:
        os.environ.update(CUDA_VISIBLE_DEVICES=gpus[number % len(gpus)])
    silence_native_logs()
    import cv2

    cv2.setNumThreads(1)


def quarantined_record(job: Job, error: ClipError) -> Record:
    """The record of a clip that cannot be used."""
    return {"clip_id": job["clip_id"], "status": "quarantined", "reason": str(error)}


def finished_line(job: Job, record: Record, folder: Path | None) -> bytes:
    """A finished clip as a line of the records; a folder holds its files."""
    files = (
        sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()) if folder else []
    )
    finished = Finished(record=record, stamp=job.get("stamp"), files=files)
    return (json.dumps(finished, sort_keys=True) + "\n").encode()


def _record_of(function: Callable[[Job, Path], Record], job: Job, folder: Path) -> Record:
    """What the function reports, or why the clip is quarantined; in that case the folder is empty."""
    try:
        return {"clip_id": job["clip_id"]} | function(job, folder) | {"status": "ok", "reason": None}
    except ClipError as error:
        if no_room_left(folder):
            # the clip is not to blame: what it was unpacked to may be cut short
            raise
        _clear(folder)
        return quarantined_record(job, error)
    except MemoryError:
        _clear(folder)
        return quarantined_record(job, ClipError("out_of_memory", "it takes more memory than there is for one worker"))


def _clear(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
