"""The one seam for heavy work per clip: a resumable map over clips with a pool of processes that may hang or die.

Nothing else in the code knows how many processes there are.
"""

import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cmet.environment import count_workers
from cmet.errors import ClipError, UserError
from cmet.launching import die_with, signals_held
from cmet.native_logs import silence_native_logs
from cmet.outputs import before_publishing, full_disk, no_room_left, no_room_said, publish, write_json
from cmet.progress import Progress, progress
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


@dataclass(frozen=True)
class ClipMap:
    """A function applied to clips, with what is done kept in a work folder.

    The function gets a job and an empty folder to write files to, and returns a record. A `ClipError` quarantines
    the clip, and so does a clip that takes too long or too much memory, or crashes its process; any other exception
    stops the map. Quarantine lasts for a run: the next one tries again, since the file may have been mended.

    The work folder holds `done/<clip_id>/` with the record and files of each finished clip (it appears by one rename),
    `unfinished/` with those of the clips at hand and all temporary files of the workers, and after the run `files/`
    with the files of all clips.
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
        if not self._done.exists():
            # left by a run that was killed while it published
            shutil.rmtree(self.files, ignore_errors=True)
        for folder in (self._done, self.files, self._unfinished):
            folder.mkdir(parents=True, exist_ok=True)
        todo = [job for job in jobs if not self._is_done(job)]
        num_workers = min(num_workers or count_workers(), max(1, len(todo)))
        num_done = len(jobs) - len(todo)
        if num_done:
            print(f"{self.label}: goes on after {num_done} of {len(jobs)} clips", file=sys.stderr, flush=True)
        with progress(self.label, len(jobs), "clip", num_done) as bar:
            if todo:
                self._run_pool(todo, num_workers, bar)
        return [self._gather(job["clip_id"]) for job in jobs]

    def publish(self, out: Path) -> None:
        """Make the files the output and forget the work.

        The records go first and all at once: a record without its file would be believed by the next run.
        """
        before_publishing(out)
        self._done.replace(self._unfinished)
        publish(self.files, out)
        shutil.rmtree(self.work)

    def forget(self) -> None:
        """Delete the work; its result lies elsewhere."""
        self._done.replace(self._unfinished)
        shutil.rmtree(self.work)

    @property
    def files(self) -> Path:
        """Where the files of all clips are after a run; more may be put beside them before they are published."""
        return self.work / "files"

    @property
    def _done(self) -> Path:
        return self.work / "done"

    @property
    def _unfinished(self) -> Path:
        return self.work / "unfinished"

    def _is_done(self, job: Job) -> bool:
        """Whether a clip is finished; one that was quarantined, or made of other sources, is forgotten."""
        folder = self._done / job["clip_id"]
        if not folder.exists():
            return False
        kept = _read(folder)
        if kept["record"]["status"] == "ok" and kept["stamp"] == job.get("stamp"):
            return True
        # before the record: without it, a clip that is now quarantined would leave them to the output
        for name in kept["files"]:
            (self.files / name).unlink(missing_ok=True)
        folder.replace(self._unfinished / folder.name)
        return False

    def _run_pool(self, todo: Sequence[Job], num_workers: int, bar: Progress) -> None:
        work = partial(_process, self.function, self.work)
        begin = partial(_start_worker, os.getpid(), self._unfinished)
        with signals_held() as is_stopped:
            ended = worked_through(work, todo, num_workers, begin, self.time_limit_s, is_stopped)
            try:
                with closing(ended):
                    for job, error in ended:
                        if error is not None:
                            self._see(job, error)
                        bar.update()
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

    def _gather(self, clip_id: str) -> Record:
        """The record of a finished clip, whose files go to those of all clips."""
        folder = self._done / clip_id
        for path in folder.rglob("*"):
            if path.is_file() and path.name != RECORD:
                target = self.files / path.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)
        return _read(folder)["record"]


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
        folder = _fresh(work / "unfinished" / job["clip_id"])
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


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _finish(folder: Path, job: Job, record: Record, done: Path) -> None:
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    write_json(folder / RECORD, {"record": record, "stamp": job.get("stamp"), "files": files})
    folder.replace(done / folder.name)


def _read(folder: Path) -> dict[str, Any]:
    """The record of a finished clip with its stamp and the names of its files, which stay behind when it is given."""
    return json.loads((folder / RECORD).read_text(encoding="utf-8"))
