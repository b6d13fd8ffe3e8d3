"""Objects on the disk of this machine, shared by all of its processes, in a folder of bounded size.

Whoever reads an object holds a lock on its file, and only what nobody holds makes room for others, the least recently
used first. A file comes under another name and gets its own by a rename. A kill ends every lock, and the part it leaves
is emptied by the next process that wants the object, or goes where room is made.
"""

import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cmet.errors import UserError
from cmet.outputs import no_room_said

CACHE_FOLDER_VARIABLE, CACHE_SIZE_VARIABLE = "CMET_CACHE_DIR", "CMET_CACHE_GB"
DEFAULT_CACHE_GB = 20.0

FILLED_AGAIN = 0.9
"""To this share of the bound it is emptied, so that not every object has to look for room."""

PATIENCE_FOR_ROOM_S, LOOK_FOR_ROOM_S = 60.0, 0.1
"""How long a process waits while all that is in the cache is in use."""

_NUM_DIGITS = 20
"""Of the count, always as many: a kill leaves no shorter number."""

_PART = re.compile(r"[0-9a-f]+\.(\d+)\.part")
"""Name of a file that is coming, with the bytes it will have."""


@dataclass(frozen=True)
class ObjectCache:
    """A folder of objects, `<key>/<name>` each."""

    folder: Path
    max_bytes: int

    @classmethod
    def of_machine(cls) -> "ObjectCache":
        """The cache that the environment names, or the default one.

        Raises:
            UserError: `CMET_CACHE_GB` is no size.
        """
        said = os.environ.get(CACHE_SIZE_VARIABLE) or str(DEFAULT_CACHE_GB)
        try:
            max_bytes = int(float(said) * 1e9)
        except (ValueError, OverflowError):
            max_bytes = 0
        if max_bytes <= 0:
            raise UserError(f"{CACHE_SIZE_VARIABLE}: expected the gigabytes that the cache may take, found {said!r}")
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        named = os.environ.get(CACHE_FOLDER_VARIABLE)
        return cls(Path(named) if named else Path(home) / "cmet" / "objects", max_bytes)

    @contextmanager
    def holding(self, key: str, name: str, num_bytes: int, bring: Callable[[Path], None]) -> Iterator[Path]:
        """A file of the cache, which is not removed during the block.

        Args:
            key: Hexadecimal; tells the bytes from all others.
            name: Of the file.
            num_bytes: How large it is.
            bring: Writes it to a path, where it is not here yet. It may raise what it likes; nothing is left then.

        Raises:
            UserError: The cache is too small or its disk is full.
        """
        file = self.folder / key / name
        try:
            while (held := self._held(file, num_bytes)) is None:
                self._bring_in(file, num_bytes, bring)
        except OSError as error:
            if no_room_said(error) is not None:
                problem = f"there is no room for {name}; make some"
            elif isinstance(error, PermissionError):
                problem = "it may not be written to; change that"
            else:
                raise
        else:
            try:
                # the time of change stays: whoever keeps an index of an archive goes by it
                os.utime(held, ns=(time.time_ns(), os.fstat(held).st_mtime_ns))
                yield file
            finally:
                os.close(held)
            return
        # not within `except`: the map over clips would take its own disk for the full one
        raise UserError(
            f"{self.folder}: in this folder of the cache {problem}, or name a folder on another disk in "
            f"{CACHE_FOLDER_VARIABLE}"
        )

    def _held(self, file: Path, num_bytes: int) -> int | None:
        """A file that is here, open and locked against removal."""
        try:
            number = os.open(file, os.O_RDONLY)
        except FileNotFoundError:
            return None
        fcntl.flock(number, fcntl.LOCK_SH)
        facts = os.fstat(number)
        # it may have been removed before it was locked; a power failure may have cut it short
        if facts.st_nlink and facts.st_size == num_bytes:
            return number
        os.close(number)
        return None

    def _bring_in(self, file: Path, num_bytes: int, bring: Callable[[Path], None]) -> None:
        """Have a file, unless another process has brought it, or taken over, by the time that its part is ours."""
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.folder / f"{file.parent.name}.{num_bytes}.part"
        number = os.open(part, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(number, fcntl.LOCK_EX)
            if not _is_still(number, part):
                return
            if (held := self._held(file, num_bytes)) is not None:
                os.close(held)
                part.unlink()
                return
            try:
                self._reserve(num_bytes, part)
                try:
                    bring(part)
                    with self._counted():  # whoever counts sees it once
                        file.parent.mkdir(exist_ok=True)
                        part.rename(file)
                except BaseException:
                    self._count(-num_bytes)
                    raise
            except BaseException:
                part.unlink(missing_ok=True)
                raise
        finally:
            os.close(number)

    def _reserve(self, num_bytes: int, part: Path) -> None:
        """Count bytes that will come, once there is room for them.

        Raises:
            UserError: There can be none.
        """
        advice = f"raise {CACHE_SIZE_VARIABLE}"
        if num_bytes > self.max_bytes:
            raise UserError(
                f"{self.folder}: an object of {num_bytes / 1e9:.3g} GB does not fit into a cache of "
                f"{self.max_bytes / 1e9:.3g} GB; {advice}"
            )
        end = time.monotonic() + PATIENCE_FOR_ROOM_S
        while True:
            with self._counted() as usage:
                if usage.num_bytes is None or usage.num_bytes + num_bytes > self.max_bytes:
                    usage.num_bytes = self._make_room(num_bytes, part)
                if usage.num_bytes + num_bytes <= self.max_bytes:
                    usage.num_bytes += num_bytes
                    return
            if time.monotonic() > end:
                raise UserError(
                    f"{self.folder}: everything in the cache of {self.max_bytes / 1e9:.3g} GB has been in use for "
                    f"{PATIENCE_FOR_ROOM_S:.0f} s; {advice}"
                )
            time.sleep(LOOK_FOR_ROOM_S)

    def _count(self, num_bytes: int) -> None:
        with self._counted() as usage:
            if usage.num_bytes is not None:
                usage.num_bytes = max(0, usage.num_bytes + num_bytes)

    @contextmanager
    def _counted(self) -> Iterator["_Usage"]:
        """How much is in the cache, and on its way into it, for one process at a time.

        Whoever is killed between a change of the folder and the count leaves too large a number: what comes is counted
        before, and what is removed afterwards. The next look for room mends it.
        """
        number = os.open(self.folder / "usage", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(number, fcntl.LOCK_EX)
            said = os.pread(number, _NUM_DIGITS, 0)
            usage = _Usage(int(said) if len(said) == _NUM_DIGITS and said.isdigit() else None)
            yield usage
            if usage.num_bytes is not None:
                os.pwrite(number, b"%0*d" % (_NUM_DIGITS, usage.num_bytes), 0)
        finally:
            os.close(number)

    def _make_room(self, num_bytes: int, own_part: Path) -> int:
        """Remove what nobody uses until so much more fits, and return what is left."""
        files: list[tuple[int, int, Path]] = []
        total = 0
        for entry in list(os.scandir(self.folder)):
            if (match := _PART.fullmatch(entry.name)) and Path(entry) != own_part:
                total += 0 if _removed(Path(entry)) else int(match[1])
            elif entry.is_dir():
                for file in Path(entry).iterdir():
                    with suppress(FileNotFoundError):
                        facts = file.stat()
                        files.append((facts.st_atime_ns, facts.st_size, file))
        total += sum(size for _, size, _ in files)
        if total + num_bytes > self.max_bytes:
            for _, size, file in sorted(files):
                if total + num_bytes <= max(num_bytes, FILLED_AGAIN * self.max_bytes):
                    break
                if _removed(file):
                    total -= size
                    with suppress(OSError):  # somebody brings it again
                        file.parent.rmdir()
        return total


@dataclass
class _Usage:
    num_bytes: int | None
    """None where it is not known."""


def _is_still(number: int, path: Path) -> bool:
    """Whether an open file is still the one of this path."""
    try:
        return os.path.samestat(os.fstat(number), path.stat())
    except FileNotFoundError:
        return False


def _removed(file: Path) -> bool:
    """Remove a file that nobody uses; whether it is gone."""
    try:
        number = os.open(file, os.O_RDONLY)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.unlink(missing_ok=True)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(number)
