"""The one seam for heavy work per clip: a resumable map over clips with a process pool.

Nothing else in the code knows how many processes there are.
"""

import json
import multiprocessing
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from cmet.errors import ClipError, UserError
from cmet.native_logs import silence_native_logs
from cmet.outputs import publish, write_json

Job = dict[str, Any]
"""What a worker needs for one clip: plain values, `clip_id` among them."""

Record = dict[str, Any]
"""What a worker says of one clip: plain JSON values; the engine adds `clip_id`, `status` and `reason`."""


@dataclass(frozen=True)
class ClipMap:
    """A function applied to clips, with what is done kept in a work folder.

    The function gets a job and the folder to write files to, and returns a record. A `ClipError` quarantines
    the clip; any other exception stops the map.
    """

    function: Callable[[Job, Path], Record]
    work: Path
    label: str

    def run(self, jobs: Sequence[Job], num_workers: int | None = None) -> list[Record]:
        """Process all clips that are not yet done, and return the records of all, in the order of the jobs."""
        records = self.work / "records"
        files = self.work / "files"
        records.mkdir(parents=True, exist_ok=True)
        files.mkdir(parents=True, exist_ok=True)
        done = {path.stem for path in records.glob("*.json")}
        todo = [job for job in jobs if job["clip_id"] not in done]
        num_workers = min(num_workers or count_workers(), max(1, len(todo)))
        with tqdm(total=len(jobs), initial=len(jobs) - len(todo), desc=self.label, unit="clip", mininterval=1) as bar:
            if todo:
                self._run_pool(todo, files, records, num_workers, bar)
        return [json.loads((records / f"{job['clip_id']}.json").read_text(encoding="utf-8")) for job in jobs]

    def publish(self, out: Path) -> None:
        """Make the files the output and forget the work.

        The records go first: a record without its file would be believed by the next run.
        """
        shutil.rmtree(self.work / "records")
        publish(self.work / "files", out)
        shutil.rmtree(self.work)

    def _run_pool(self, todo: Sequence[Job], files: Path, records: Path, num_workers: int, bar: tqdm) -> None:
        # spawn: a fork after MediaPipe or decord was used crashes or hangs
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(num_workers, mp_context=context, initializer=_start_worker) as pool:
            waiting: set[Future[None]] = set()
            queue = iter(todo)
            try:
                for job in queue:
                    waiting.add(pool.submit(_process, self.function, job, files, records))
                    if len(waiting) >= 4 * num_workers:
                        waiting = _collect(waiting, bar)
                while waiting:
                    waiting = _collect(waiting, bar)
            except BrokenProcessPool as error:
                raise UserError(
                    f"{self.label}: a worker process died (out of memory?); finished clips are kept in {self.work}, "
                    "run the stage again to go on"
                ) from error
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def count_workers() -> int:
    """Processor cores this process may use, or CMET_WORKERS."""
    return int(os.environ.get("CMET_WORKERS") or len(os.sched_getaffinity(0)))


def _collect(waiting: set[Future[None]], bar: tqdm) -> set[Future[None]]:
    finished, left = wait(waiting, return_when=FIRST_COMPLETED)
    for future in finished:
        future.result()
        bar.update()
    return left


def _start_worker() -> None:
    # one thread per worker: the pool already fills the cores
    os.environ.update(OMP_NUM_THREADS="1")
    silence_native_logs()
    import cv2

    cv2.setNumThreads(1)


def _process(function: Callable[[Job, Path], Record], job: Job, files: Path, records: Path) -> None:
    try:
        record = function(job, files) | {"status": "ok", "reason": None}
    except ClipError as error:
        record = {"status": "quarantined", "reason": str(error)}
    write_json(records / f"{job['clip_id']}.json", {"clip_id": job["clip_id"]} | record)
