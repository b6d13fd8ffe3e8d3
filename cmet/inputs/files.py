"""What a path leads to, and its bytes, where it is an ordinary file of bearable size."""

import stat
from pathlib import Path

from cmet.errors import UserError

MAX_TEXT_BYTES = 64 << 20
"""No text that cmet reads comes near this."""

_KINDS = (
    (stat.S_ISDIR, "a folder, not a file"),
    (stat.S_ISFIFO, "a named pipe, not a file; write what comes out of it into a file first"),
    (stat.S_ISCHR, "a device, not a file"),
    (stat.S_ISBLK, "a device, not a file"),
    (stat.S_ISSOCK, "a socket, not a file"),
)


class BadFile(UserError):
    """A file is not what it should be; the message begins with its name."""


def oddity(path: Path) -> str | None:
    """What a path leads to where that is no ordinary file with something in it, in words; None where it is one.

    Nothing is opened, so a pipe that nobody writes to holds nothing up.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        return "a link to something that is not there" if path.is_symlink() else "no such file"
    except OSError as error:
        return f"cannot be looked at ({error.strerror})"
    except ValueError:  # a zero byte in the name
        return "no such file"
    kind = next((words for is_kind, words in _KINDS if is_kind(found.st_mode)), None)
    return kind or (None if found.st_size else "an empty file")


def read_bytes(path: Path, limit: int = MAX_TEXT_BYTES) -> bytes:
    """All bytes of a file.

    Raises:
        BadFile: It is no ordinary file, is empty, larger than `limit` bytes or cannot be read.
    """
    odd = oddity(path)
    if odd is not None:
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
        BadFile: As `read_bytes`, or it is not UTF-8.
    """
    content = read_bytes(path, limit)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise BadFile(f"{path}: not in UTF-8 (line {line}); save it in UTF-8") from error
