"""The one seam for heavy work per clip: a resumable map over clips with a pool of processes that may hang or die.

Nothing else in the code knows how many processes there are.
"""

import json
import multiprocessing
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pebble import ProcessExpired, ProcessPool

from cmet.environment import count_workers
from cmet.errors import ClipError, UserError
from cmet.launching import die_with
from cmet.native_logs import silence_native_logs
from cmet.outputs import publish, write_json
from cmet.progress import Progress, progress

Job = dict[str, Any]
"""What a worker needs for one clip: plain values, `clip_id` among them.

There may be a `stamp`: plain JSON values that tell one state of the clip's sources from another. What was finished
under another stamp is done anew.
"""

Record = dict[str, Any]
"""What a worker reports about one clip: plain JSON values; the engine adds `clip_id`, `status` and `reason`."""

CRASHES = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE})
"""Signals by which a clip kills its worker. SIGKILL is not one: it comes from outside, mostly for lack of memory."""

QUEUED_PER_WORKER = 4
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
        with progress(self.label, len(jobs), "clip", len(jobs) - len(todo)) as bar:
            if todo:
                self._run_pool(todo, num_workers, bar)
        return [self._gather(job["clip_id"]) for job in jobs]

    def publish(self, out: Path) -> None:
        """Make the files the output and forget the work.

        The records go first and all at once: a record without its file would be believed by the next run.
        """
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
        # spawn: a fork after MediaPipe or decord was used crashes or hangs
        context = multiprocessing.get_context("spawn")
        arguments = (os.getpid(), self._unfinished)
        pool = ProcessPool(num_workers, initializer=_start_worker, initargs=arguments, context=context)
        waiting: dict[Future[None], Job] = {}
        try:
            for job in todo:
                try:
                    future = pool.schedule(_process, (self.function, job, self.work), timeout=self.time_limit_s)
                except RuntimeError as error:  # all workers are gone
                    raise self._died(job["clip_id"]) from error
                waiting[future] = job
                if len(waiting) >= QUEUED_PER_WORKER * num_workers:
                    self._collect(waiting, bar)
            while waiting:
                self._collect(waiting, bar)
        finally:
            # nothing waits any more, or nothing that waits is wanted
            pool.stop()
            pool.join()
            shutil.rmtree(self._unfinished)

    def _collect(self, waiting: dict[Future[None], Job], bar: Progress) -> None:
        """Wait for the next clip to end, and take those that have ended off the list."""
        for future in wait(waiting, return_when=FIRST_COMPLETED).done:
            job = waiting.pop(future)
            try:
                future.result()
            except TimeoutError:
                if self.time_limit_s is None:
                    raise
                self._quarantine(job, ClipError("timeout", f"took longer than {self.time_limit_s:g} s"))
            except (ProcessExpired, BrokenProcessPool) as error:
                code = -getattr(error, "exitcode", 0)
                if code not in CRASHES:
                    raise self._died(job["clip_id"]) from error
                cause = signal.Signals(code).name
                self._quarantine(job, ClipError("decoder_crashed", f"the process died of {cause}"))
            bar.update()

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


def _process(function: Callable[[Job, Path], Record], job: Job, work: Path) -> None:
    folder = _fresh(work / "unfinished" / job["clip_id"])
    try:
        record = {"clip_id": job["clip_id"]} | function(job, folder) | {"status": "ok", "reason": None}
    except ClipError as error:
        folder = _fresh(folder)
        record = _quarantined(job, error)
    except MemoryError:
        folder = _fresh(folder)
        record = _quarantined(job, ClipError("out_of_memory", "it takes more memory than there is for one worker"))
    _finish(folder, job, record, work / "done")


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
