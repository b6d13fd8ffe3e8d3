"""What a path leads to, and its bytes, where it is an ordinary file of bearable size."""

import stat
from collections.abc import Callable
from functools import lru_cache, wraps
from pathlib import Path
from typing import TypeVar

from cmet.errors import UserError

Made = TypeVar("Made")

MAX_TEXT_BYTES = 64 << 20
"""No text that cmet reads comes near this."""

MISSING = "no such file"
"""What `oddity` says of a path that leads nowhere."""

EMPTY = "is empty"
"""What it says of a file with nothing in it."""

_KINDS = (
    (stat.S_ISDIR, "is a folder, not a file"),
    (stat.S_ISFIFO, "is a named pipe, not a file"),
    (stat.S_ISCHR, "is a device, not a file"),
    (stat.S_ISBLK, "is a device, not a file"),
    (stat.S_ISSOCK, "is a socket, not a file"),
)


class BadFile(UserError):
    """A file is not what it should be; the message begins with its name."""


def oddity(path: Path) -> str | None:
    """What is wrong with a path that leads to no ordinary file with something in it; None where it does.

    The words stand after the path and a colon: `no such file`, `is a folder, not a file`, `is empty`.

    Nothing is opened, so a pipe that nobody writes to holds nothing up.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        return "is a link to something that does not exist" if path.is_symlink() else MISSING
    except OSError as error:
        return f"cannot be looked at ({error.strerror})"
    except ValueError:  # a zero byte in the name
        return MISSING
    kind = next((words for is_kind, words in _KINDS if is_kind(found.st_mode)), None)
    return kind or (None if found.st_size else EMPTY)


def predicate(path: Path) -> str | None:
    """As `oddity`, in words that go on after the name of the file: `does not exist`."""
    odd = oddity(path)
    return "does not exist" if odd == MISSING else odd


def not_a_folder(path: Path) -> str:
    """As `oddity`, of a path where a folder is expected and none is."""
    odd = oddity(path)
    if odd in (None, EMPTY):
        return "is a file, not a folder"
    return "no such folder" if odd == MISSING else str(odd)


def read_bytes(path: Path, limit: int = MAX_TEXT_BYTES) -> bytes:
    """All bytes of a file.

    Raises:
        BadFile: It is no ordinary file, is larger than `limit` bytes or cannot be read.
    """
    odd = oddity(path)
    if odd not in (None, EMPTY):
        raise BadFile(f"{path}: {odd}")
    try:
        with path.open("rb") as stream:
            content = stream.read(limit + 1)
    except OSError as error:
        raise BadFile(f"{path}: cannot be read ({error.strerror})") from error
    if len(content) > limit:
        raise BadFile(f"{path}: larger than {limit >> 10:,} KiB, so it is not what is expected here")
    return content


def read_text(path: Path, limit: int = MAX_TEXT_BYTES) -> str:
    """The text of a UTF-8 file, with or without a byte order mark.

    Raises:
        BadFile: As `read_bytes`, or it is empty or not UTF-8.
    """
    content = read_bytes(path, limit)
    if not content:
        raise BadFile(f"{path}: is empty")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise BadFile(f"{path}: not in UTF-8 (line {line}); save it in UTF-8") from error


def kept_while_unchanged(num_kept: int) -> Callable[[Callable[[Path], Made]], Callable[[Path], Made]]:
    """Let a function keep what it makes of a file for as long as the file has the same size, time of change and inode.

    Args:
        num_kept: Of so many files, those used last.
    """

    def keeping(make: Callable[[Path], Made]) -> Callable[[Path], Made]:
        @lru_cache(maxsize=num_kept)
        def made(path: Path, *_facts: int) -> Made:
            return make(path)

        @wraps(make)
        def of_file(path: Path) -> Made:
            found = path.stat()
            return made(path, found.st_size, found.st_mtime_ns, found.st_ino)

        return of_file

    return keeping
