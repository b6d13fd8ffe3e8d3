"""The one seam for heavy work per clip: a resumable map over clips with a pool of processes that may hang or die.

Nothing else in the code knows how many processes there are.
"""

import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypedDict

from cmet.environment import count_workers
from cmet.errors import ClipError, UserError
from cmet.launching import die_with, signals_held
from cmet.native_logs import silence_native_logs
from cmet.outputs import full_disk, no_room_left, no_room_said, publish
from cmet.progress import counted, progress
from cmet.workers import Died, Hung, worked_through

Job = dict[str, Any]
"""What a worker needs for one clip: plain values, `clip_id` among them.

There may be a `stamp`: plain JSON values that tell one state of the clip's sources from another. What was finished
under another stamp is done anew.
"""

Record = dict[str, Any]
"""What a worker reports about one clip: plain JSON values; the engine adds `clip_id`, `status` and `reason`."""

CRASHES = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE})
"""Signals by which a clip kills its worker. SIGKILL is not one: it comes from outside, mostly for lack of memory."""

RECORD = "record.json"
SPARE = ".spare"
"""Folder among the unfinished with those of clips whose files have been taken."""


class Finished(TypedDict):
    """A finished clip."""

    record: Record
    stamp: Any
    """That of the job."""
    files: list[str]
    """Their names; they stay here when the files are moved or packed."""


@dataclass(frozen=True)
class ClipMap:
    """A function applied to clips, with what is done kept in a work folder.

    The function gets a job and a folder without files to write to, and returns a record. A `ClipError` quarantines the
    clip, and so does a clip that takes too long or too much memory, or crashes its process; any other exception stops
    the map. Quarantine lasts for a run: the next one tries again, since the file may have been mended.

    The work folder holds `files/` with the files of all finished clips and `records.jsonl` with their records, a line
    each. A worker leaves a clip in `done/<clip_id>/`, where it appears by one rename; from there it is taken in.
    `unfinished/` has the clips at hand and all temporary files of the workers.
    """

    function: Callable[[Job, Path], Record]
    work: Path
    label: str
    time_limit_s: float | None = None
    """Wall-clock time that a clip may take."""

    def run(self, jobs: Sequence[Job], num_workers: int | None = None) -> list[Record]:
        """Process all clips that are not yet done well, and return the records of all, in the order of the jobs.

        Raises:
            UserError: A worker was killed.
        """
        shutil.rmtree(self._unfinished, ignore_errors=True)
        if not self._records.exists():
            shutil.rmtree(self.files, ignore_errors=True)
        elif not self.files.exists():
            # the run that published them was killed before it forgot the work
            self._records.unlink()
        for folder in (self._done, self.files, self._unfinished / SPARE):
            folder.mkdir(parents=True, exist_ok=True)
        found = _read_records(self._records)
        with self._records.open("ab") as records:
            for folder in self._done.iterdir():
                finished = self._take_in(folder, records)
                found[finished["record"]["clip_id"]] = finished
            todo = [job for job in jobs if not self._is_done(job, found)]
            num_workers = min(num_workers or count_workers(), max(1, len(todo)))
            num_done = len(jobs) - len(todo)
            if num_done:
                print(f"{self.label}: goes on after {num_done} of {len(jobs)} clips", file=sys.stderr, flush=True)
            with progress(self.label, len(jobs), "clip", num_done) as bar:
                if todo:
                    with closing(self._worked_off(todo, num_workers)) as finished_jobs:
                        for job in finished_jobs:
                            found[job["clip_id"]] = self._take_in(self._done / job["clip_id"], records)
                            bar.update()
        return [found[job["clip_id"]]["record"] for job in jobs]

    def publish(self, out: Path) -> None:
        """Make the files the output, by a rename, and forget the work."""
        publish(self.files, out)
        shutil.rmtree(self.work)

    def forget(self) -> None:
        """Delete the work; its result lies elsewhere."""
        self._records.unlink()
        for path in counted(list(self.files.iterdir()), f"{self.label}: clearing", None, "file", is_passing=True):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.rmtree(self.work)

    @property
    def files(self) -> Path:
        """Where the files of all clips are after a run; more may be put beside them before they are published.

        They may be packed there (`cmet.packs.pack_files`): a clip that is done anew lays its files beside the packs.
        """
        return self.work / "files"

    @property
    def _records(self) -> Path:
        return self.work / "records.jsonl"

    @property
    def _done(self) -> Path:
        return self.work / "done"

    @property
    def _unfinished(self) -> Path:
        return self.work / "unfinished"

    def _is_done(self, job: Job, found: Mapping[str, Finished]) -> bool:
        """Whether a clip is finished; of one that was quarantined, or made of other sources, the files go."""
        kept = found.get(job["clip_id"])
        if kept is None:
            return False
        if kept["record"]["status"] == "ok" and kept["stamp"] == job.get("stamp"):
            return True
        # a clip that is quarantined this time would leave them to the output
        for name in kept["files"]:
            (self.files / name).unlink(missing_ok=True)
        return False

    def _take_in(self, folder: Path, records: BinaryIO) -> Finished:
        """Put the record of a finished clip to the others, then its files.

        After a kill between the two the folder is there, and is taken in again.
        """
        line = (folder / RECORD).read_bytes()
        finished: Finished = json.loads(line)
        records.write(line)
        records.flush()
        for name in finished["files"]:
            target = self.files / name
            with suppress(FileNotFoundError):  # moved before a kill
                target.parent.mkdir(parents=True, exist_ok=True)
                (folder / name).replace(target)
        if all(name.count("/") < 2 for name in finished["files"]):
            # to remove a folder takes some disks milliseconds
            (folder / RECORD).unlink()
            folder.replace(self._unfinished / SPARE / folder.name)
        else:
            shutil.rmtree(folder)
        return finished

    def _worked_off(self, todo: Sequence[Job], num_workers: int) -> Generator[Job, None, None]:
        """Let workers do the jobs, and yield each one when its clip is finished."""
        work = partial(_process, self.function, self.work)
        begin = partial(_start_worker, os.getpid(), self._unfinished)
        with signals_held() as is_stopped:
            ended = worked_through(work, todo, num_workers, begin, self.time_limit_s, is_stopped)
            try:
                with closing(ended):
                    for job, error in ended:
                        if error is not None:
                            self._see(job, error)
                        yield job
            except Died as error:  # before it had a job
                raise self._died("the start") from error
            finally:
                # nothing is at work any more, or nothing of it is wanted
                shutil.rmtree(self._unfinished)

    def _see(self, job: Job, error: Exception) -> None:
        """Quarantine a clip that hung or crashed its process; anything else stops the map."""
        if isinstance(error, Hung):
            self._quarantine(job, ClipError("timeout", f"took longer than {self.time_limit_s:g} s"))
        elif isinstance(error, Died):
            number = -(error.exit_code or 0)
            if number not in CRASHES:
                raise self._died(job["clip_id"]) from error
            cause = signal.Signals(number).name
            self._quarantine(job, ClipError("decoder_crashed", f"the process died of {cause}"))
        else:
            raise error

    def _died(self, clip_id: str) -> UserError:
        return UserError(
            f"{self.label}: a worker process died (out of memory?) at or near {clip_id}; finished clips are kept in "
            f"{self.work}: run the stage again to continue"
        )

    def _quarantine(self, job: Job, error: ClipError) -> None:
        folder = _fresh(self._unfinished / job["clip_id"])
        _finish(folder, job, _quarantined(job, error), self._done)


def _start_worker(parent: int, temporary: Path) -> None:
    die_with(parent)
    # a killed worker cannot clean up, but the folder of unfinished work is emptied by whoever comes next
    tempfile.tempdir = str(temporary)
    # one thread per worker: the pool already fills the cores
    os.environ.update(OMP_NUM_THREADS="1")
    silence_native_logs()
    import cv2

    cv2.setNumThreads(1)


def _process(function: Callable[[Job, Path], Record], work: Path, job: Job) -> None:
    try:
        folder = _empty(work / "unfinished", job["clip_id"])
        _finish(folder, job, _record_of(function, job, folder), work / "done")
    except Exception as error:
        said = no_room_said(error) or no_room_left(work)
        if said is None:
            raise
        raise full_disk(work, said) from error


def _record_of(function: Callable[[Job, Path], Record], job: Job, folder: Path) -> Record:
    """What the function reports, or why the clip is quarantined; in that case the folder is empty."""
    try:
        return {"clip_id": job["clip_id"]} | function(job, folder) | {"status": "ok", "reason": None}
    except ClipError as error:
        if no_room_left(folder):
            # the clip is not to blame: what it was unpacked to may be cut short
            raise
        _fresh(folder)
        return _quarantined(job, error)
    except MemoryError:
        _fresh(folder)
        return _quarantined(job, ClipError("out_of_memory", "it takes more memory than there is for one worker"))


def _quarantined(job: Job, error: ClipError) -> Record:
    return {"clip_id": job["clip_id"], "status": "quarantined", "reason": str(error)}


def _empty(unfinished: Path, clip_id: str) -> Path:
    """A folder without files for a clip: a spare one, or a new one."""
    folder = unfinished / clip_id
    with os.scandir(unfinished / SPARE) as spares:
        for spare in spares:
            with suppress(FileNotFoundError):  # another worker was first
                os.rename(spare, folder)  # noqa: PTH104 - there is no path yet
                return folder
    return _fresh(folder)


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _finish(folder: Path, job: Job, record: Record, done: Path) -> None:
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    finished = Finished(record=record, stamp=job.get("stamp"), files=files)
    (folder / RECORD).write_text(json.dumps(finished, sort_keys=True) + "\n", encoding="utf-8")
    folder.replace(done / folder.name)


def _read_records(path: Path) -> dict[str, Finished]:
    """What was finished, by clip; the last line of each counts. A line that a kill has cut short is cut off."""
    found: dict[str, Finished] = {}
    if path.exists():
        with path.open("r+b") as stream:
            whole = 0
            for line in stream:
                if not line.endswith(b"\n"):
                    stream.truncate(whole)
                    break
                whole += len(line)
                finished: Finished = json.loads(line)
                found[finished["record"]["clip_id"]] = finished
    return found
