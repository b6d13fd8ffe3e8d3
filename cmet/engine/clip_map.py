"""What a map over clips promises, wherever it runs."""

import json
import os
import secrets
import shutil
import signal
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from cmet.engine.attempts import (
    RECORD,
    Attempt,
    Desk,
    Ended,
    Finished,
    Job,
    Record,
    finished_line,
    quarantined_record,
)
from cmet.engine.local import Hands, Order, local_hands
from cmet.engine.pool import MAX_LOST, Died, Hung, LostAttempt
from cmet.errors import ClipError, UserError
from cmet.launching import signals_held
from cmet.outputs import publish
from cmet.progress import counted, progress

if TYPE_CHECKING:  # maps that begin with no output depend on no packs
    from cmet.engine.earlier import Earlier

CRASHES = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE})
"""Signals by which a clip kills its worker. SIGKILL is not one: it comes from outside, mostly for lack of memory."""


@dataclass(frozen=True)
class ClipMap:
    """A function applied to clips, with what is done kept in a work folder.

    The function gets a job and a folder without files to write to, and returns a record. A `ClipError` quarantines the
    clip, and so does a clip that takes too long or too much memory, or crashes its process; any other exception stops
    the map. A clip whose worker is killed from outside, or whose machine is lost, is tried again beside fewer others,
    and quarantined when it was lost `MAX_LOST` times. Quarantine lasts for a run: the next one tries again, since the
    file may have been mended.

    The work folder holds `files/` with the files of all finished clips and `records.jsonl` with their records, a line
    each. Every attempt at a clip has a folder of its own, `unfinished/<clip_id>.<attempt>`, where the temporary files
    of the workers are as well; on a cluster `unfinished` is a folder on the machine's own disk. What comes of it
    appears by one rename in `done/`; from there it is taken in. Of several attempts at one clip, such as after a
    machine was thought lost, the first to be reported is taken and the others are thrown away.
    """

    function: Callable[[Job, Path], Record]
    work: Path
    label: str
    time_limit_s: float | None = None
    """Wall-clock time that a clip may take."""
    earlier: "Earlier | None" = None
    """The output that this map replaces, to take over what has not changed; None for a map that starts anew each time.

    Then the name of the work folder has to tell code and parameters from others, and a job's stamp all else of which a
    clip is made.
    """

    def run(self, jobs: Sequence[Job], num_workers: int | None = None, *, uses_networks: bool = False) -> list[Record]:
        """Process all clips that are not yet done well, and return the records of all, in the order of the jobs.

        Args:
            jobs: What is to do.
            num_workers: Processes on a machine; None is what fills it.
            uses_networks: Whether the function runs networks: where there are GPUs, few processes share each.

        Raises:
            UserError: A worker process ended without a reason that is known, or the cluster is of no use.
        """
        shutil.rmtree(self._unfinished, ignore_errors=True)
        if not self._records.exists():
            shutil.rmtree(self.files, ignore_errors=True)
        elif not self.files.exists():
            # the run that published them was killed before it forgot the work
            self._records.unlink()
        if self.earlier is not None and not self._records.exists():
            self.earlier.begin(self.work.name, self.files, self._records)
        for needed in (self._done, self.files, self._spare):
            needed.mkdir(parents=True, exist_ok=True)
        found = _read_records(self._records)
        with self._records.open("ab") as records:
            for clip_id, place in self._handed_in().items():
                found[clip_id] = self._take_in((place / RECORD).read_bytes(), place, records)
            todo = [job for job in jobs if not self._is_done(job, found)]
            num_done = len(jobs) - len(todo)
            if num_done:
                print(f"{self.label}: goes on after {num_done} of {len(jobs)} clips", file=sys.stderr, flush=True)
            with progress(self.label, len(jobs), "clip", num_done) as bar:
                if todo:
                    order = self._order(num_workers, uses_networks)
                    with closing(self._worked_off(todo, order)) as finished_clips:
                        for line, folder in finished_clips:
                            finished = self._take_in(line, folder, records)
                            found[finished["record"]["clip_id"]] = finished
                            bar.update()
        # attempts that came too late
        for late in self._done.iterdir():
            shutil.rmtree(late, ignore_errors=True)
        return [found[job["clip_id"]]["record"] for job in jobs]

    def publish(self, out: Path) -> None:
        """Make the files the output, by a rename, and forget the work but for what the next run can begin with."""
        if self.earlier is not None:
            self.earlier.keep(self.work.name, self.files, _read_records(self._records).values())
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

    @property
    def _spare(self) -> Path:
        """Has folders of clips whose files have been taken."""
        return self._unfinished / ".spare"

    def _order(self, num_workers: int | None, uses_networks: bool) -> Order:
        desk = Desk(self._unfinished, self._done, self._spare)
        return Order(self.function, self.label, desk, self.time_limit_s, num_workers, uses_networks)

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

    def _handed_in(self) -> dict[str, Path]:
        """Folders of clips that were handed in before a kill, one for each clip; others go."""
        handed_in: dict[str, Path] = {}
        for folder in sorted(self._done.iterdir()):
            # on its way when its worker was killed
            is_whole = not folder.name.startswith(".")
            clip_id = json.loads((folder / RECORD).read_bytes())["record"]["clip_id"] if is_whole else ""
            if is_whole and clip_id not in handed_in:
                handed_in[clip_id] = folder
            else:
                shutil.rmtree(folder, ignore_errors=True)
        return handed_in

    def _take_in(self, line: bytes, folder: Path | None, records: BinaryIO) -> Finished:
        """Put the record of a finished clip to the others, then its files.

        After a kill between the two the folder is there, and is taken in again.
        """
        finished: Finished = json.loads(line)
        records.write(line)
        records.flush()
        if folder is None:
            return finished
        for name in finished["files"]:
            target = self.files / name
            with suppress(FileNotFoundError):  # moved before a kill
                target.parent.mkdir(parents=True, exist_ok=True)
                (folder / name).replace(target)
        if all(name.count("/") < 2 for name in finished["files"]):
            # to remove a folder takes some disks milliseconds
            (folder / RECORD).unlink()
            folder.replace(self._spare / folder.name)
        else:
            shutil.rmtree(folder)
        return finished

    def _worked_off(self, todo: Sequence[Job], order: Order) -> Generator[tuple[bytes, Path | None], None, None]:
        """Let the clips be done, and yield the line of each that is finished, and the folder with its files."""
        run = secrets.token_hex(3)
        left = {job["clip_id"] for job in todo}
        try:
            with signals_held() as is_stopped, _hands(order, len(todo)) as hands:
                hands.give(Attempt(job, f"{job['clip_id']}.{run}-1") for job in todo)
                while left:
                    if is_stopped():
                        raise KeyboardInterrupt
                    for outcome in hands.ended():
                        clip_id = outcome.attempt.job["clip_id"]
                        if clip_id not in left:
                            # two attempts at one clip; the other one was reported first
                            continue
                        again = _next_attempt(outcome, run)
                        if again is not None:
                            hands.give([again])
                            continue
                        left.remove(clip_id)
                        yield self._settled(outcome)
        except Died as error:  # before it had a job
            raise self._died("the start") from error
        finally:
            # nothing is at work any more, or nothing of it is wanted
            shutil.rmtree(self._unfinished)

    def _settled(self, outcome: Ended) -> tuple[bytes, Path | None]:
        """The line of a clip and the folder with its files, also of one that hung, crashed its process or was lost.

        Raises:
            Exception: What else went wrong stops the map.
        """
        job, error = outcome.attempt.job, outcome.error
        if error is None:
            return outcome.line, self._done / outcome.attempt.name
        if isinstance(error, Hung):
            cause = ClipError("timeout", f"took longer than {self.time_limit_s:g} s")
        elif _is_lost(error):
            cause = ClipError(
                "worker_killed",
                f"its worker was killed {MAX_LOST} times, at last with no other beside it; probably for lack of memory",
            )
        elif isinstance(error, Died):
            number = -(error.exit_code or 0)
            if number not in CRASHES:
                raise self._died(job["clip_id"]) from error
            cause = ClipError("decoder_crashed", f"the process died of {signal.Signals(number).name}")
        else:
            raise error from RuntimeError(f"\n{outcome.trace}")
        return finished_line(job, quarantined_record(job, cause), None), None

    def _died(self, clip_id: str) -> UserError:
        return UserError(
            f"{self.label}: a worker process died at or near {clip_id}; finished clips are kept in {self.work}: "
            "run the stage again to continue"
        )


def _hands(order: Order, num_clips: int) -> AbstractContextManager[Hands]:
    """Whoever does the work: a cluster where RAY_ADDRESS names one, else this machine."""
    if os.environ.get("RAY_ADDRESS"):
        from cmet.engine.on_ray import ray_hands

        return ray_hands(order)
    return local_hands(order, num_clips)


def _is_lost(error: Exception | None) -> bool:
    """Whether a worker is lost for a reason that need not be its clip."""
    return isinstance(error, LostAttempt) or (isinstance(error, Died) and error.is_killed)


def _next_attempt(outcome: Ended, run: str) -> Attempt | None:
    """Another attempt where one was lost and there may be one more."""
    before = outcome.attempt
    num_lost = before.num_lost + 1
    if not _is_lost(outcome.error) or num_lost == MAX_LOST:
        return None
    return Attempt(before.job, f"{before.job['clip_id']}.{run}-{num_lost + 1}", num_lost)


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
