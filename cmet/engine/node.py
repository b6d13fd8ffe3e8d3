"""The workers of one machine of a cluster: what an actor there holds, and what it tells of its machine."""

import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from filelock import FileLock, Timeout

from cmet.engine.attempts import Attempt, Desk, Ended
from cmet.engine.pool import LOOK_S, Died, Pool
from cmet.environment import GIB, known_versions

SPAN_S = 0.1
"""Clips that end within this time are told together."""

SILENCE_S = 1.0
"""After this time an answer goes back also where no clip has ended."""

MIN_FREE_BYTES = GIB
"""Less room than this for unfinished clips is too little to begin with."""

MAX_CLOCK_S = 600.0
"""How far the clocks of two machines may be apart; files would seem to be changed before they were made."""

SCRATCH = "cmet-node-"
"""How names of folders for unfinished clips begin."""


@dataclass(frozen=True)
class Task:
    """What a node is to do."""

    name: str
    """That of the node, for messages."""
    project: Path
    """Where the command runs; paths of jobs may be relative to it."""
    done: Path
    spare: Path
    marker: Path
    """A file in the project's folder."""
    function: bytes
    """Pickle of the map's function."""
    num_workers: int
    time_limit_s: float | None


@dataclass(frozen=True)
class NodeFacts:
    """What a node says of itself."""

    versions: Mapping[str, str]
    """Of Python, cmet and the libraries that change numbers; for cmet with a digest of its code."""
    marker: str | None
    """What stands in the marker; None where the folder is not there."""
    is_writable: bool
    free_bytes: int
    """On the disk for unfinished clips."""
    scratch: str
    """Where that is."""
    time_s: float


@dataclass(frozen=True)
class NodeAnswer:
    """What has happened on a node since the last time."""

    ended: Sequence[Ended]
    said: str
    """Lines that workers have written to stderr."""
    failure: Died | None
    """Workers cannot begin."""


class NodeWorkers:
    """The workers of one machine.

    An actor's constructor runs in its main thread, and so do its methods: workers end with the thread that has started
    them (`PR_SET_PDEATHSIG`), so they would not outlive one that passes.
    """

    def __init__(self, task: Task) -> None:
        """Start the workers, unless the project is not here."""
        self._task = task
        gpus = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
        self._scratch, self._lock = _own_scratch()
        self._pool: Pool | None = None
        self._heard, self._told = os.pipe()
        os.set_blocking(self._heard, False)
        if task.project.is_dir():
            os.chdir(task.project)
            desk = Desk(self._scratch, task.done, task.spare, task.name)
            limit_s = task.time_limit_s
            self._pool = Pool(task.function, desk, task.num_workers, gpus, limit_s, self._starting)

    def facts(self) -> NodeFacts:
        """What there is here."""
        marker = self._task.marker
        try:
            text = marker.read_text(encoding="utf-8")
        except OSError:
            text = None
        free = shutil.disk_usage(self._scratch).free
        writable = os.access(marker.parent, os.W_OK)
        return NodeFacts(known_versions(), text, writable, free, str(self._scratch), time.time())

    def exchange(self, attempts: Sequence[Attempt]) -> NodeAnswer:
        """Take attempts on, and tell which have ended: some, after a short time, or none after a longer one."""
        assert self._pool is not None
        self._pool.give(attempts)
        begun = time.monotonic()
        ended: list[Ended] = []
        failure = None
        try:
            while self._pool.num_at_hand and time.monotonic() - begun < (SPAN_S if ended else SILENCE_S):
                ended += self._pool.ended(SPAN_S if ended else LOOK_S)
        except Died as error:
            failure = error
        return NodeAnswer(ended, self._said(), failure)

    def close(self) -> str:
        """End the workers, leave nothing behind, and give the last lines."""
        if self._pool is not None:
            self._pool.close()
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._lock.release()
        self._scratch.with_suffix(".lock").unlink(missing_ok=True)
        return self._said()

    def _said(self) -> str:
        said = b""
        with suppress(BlockingIOError):
            while more := os.read(self._heard, 1 << 16):
                said += more
        return said.decode(errors="replace")

    @contextmanager
    def _starting(self) -> Iterator[None]:
        """A block in which a worker is started: it writes into our pipe, and has nothing of Ray's."""
        main, stderr = sys.modules["__main__"], os.dup(2)
        # a worker would import the program of its parent, which here is Ray's
        sys.modules["__main__"] = ModuleType("__main__")
        os.dup2(self._told, 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            sys.modules["__main__"] = main


def misfit(name: str, facts: NodeFacts, wanted: Mapping[str, str], marker: Path, text: str) -> str | None:
    """Why a node is of no use for a map, in one sentence that names it; None where it is.

    Args:
        name: The node.
        facts: What it has said, just now.
        wanted: Versions here, see `known_versions`.
        marker: A file in the project's folder.
        text: What stands in it.
    """
    for library, version in wanted.items():
        if facts.versions.get(library) != version:
            found = facts.versions.get(library, "not installed")
            return f"{name}: {library} is {found}, but {version} where the command runs; install the same on all nodes"
    if facts.marker != text:
        return f"{name}: {marker.parent} is not the folder that it is here; all nodes need the project at the same path"
    if not facts.is_writable:
        return f"{name}: {marker.parent} cannot be written to; all nodes need the right to write in the project"
    if facts.free_bytes < MIN_FREE_BYTES:
        free = f"{facts.free_bytes / GIB:.1f} GiB"
        return f"{name}: {facts.scratch} has {free} left for unfinished clips; make room there or set TMPDIR for Ray"
    if abs(facts.time_s - time.time()) > MAX_CLOCK_S:
        apart = abs(facts.time_s - time.time()) / 60
        return f"{name}: its clock is {apart:.0f} minutes from the one here; set both by NTP"
    return None


def _own_scratch() -> tuple[Path, FileLock]:
    """A folder for unfinished clips on this machine's own disk, and the lock that says that it is in use.

    Those of nodes that were killed are deleted.
    """
    root = Path(tempfile.gettempdir())
    for folder in root.glob(f"{SCRATCH}*/"):
        with suppress(Timeout, OSError), FileLock(folder.with_suffix(".lock"), timeout=0):
            shutil.rmtree(folder, ignore_errors=True)
            folder.with_suffix(".lock").unlink(missing_ok=True)
    folder = root / f"{SCRATCH}{secrets.token_hex(6)}"
    lock = FileLock(folder.with_suffix(".lock"))
    # before there is a folder that others could delete
    lock.acquire()
    folder.mkdir(mode=0o700)
    return folder, lock
