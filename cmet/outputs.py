"""Outputs that appear whole or not at all."""

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import fields
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from cmet.errors import UserError

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Numbers of errors that a full disk gives, or a limit on what may be written to it."""

_NO_ROOM_SAID = re.compile(
    # the last two are numpy's and libsndfile's words for what the system said while they wrote
    r"no space left on device|disk is full|disk quota exceeded|file too large|\d+ requested and \d+ written|"
    r"^System error\.$",
    re.IGNORECASE,
)

FULL_BELOW_BYTES = 1 << 20
"""A disk with less room than this counts as full where a library that failed does not say why."""


NUM_NAME_BYTES = 6
"""Of which the name of an unfinished file is made."""


@contextmanager
def fresh_folder(out: Path) -> Iterator[Path]:
    """A new empty folder beside `out` that takes its place when the block ends without an error.

    Raises:
        UserError: The disk is full.
    """
    folder = out.with_name(f".{out.name}.unfinished")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
        publish(folder, out)
    except UserError:
        raise
    except Exception as error:
        said = no_room_said(error) or no_room_left(out.parent)
        if said is None:
            raise
        raise full_disk(out, said) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(folder: Path, out: Path) -> None:
    """Make a finished folder the output, in place of an older one."""
    before_publishing(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    older = out.with_name(f".{out.name}.older")
    shutil.rmtree(older, ignore_errors=True)
    if out.exists():
        # two renames: to delete a large folder takes time, in which there would be none
        out.replace(older)
    folder.replace(out)
    shutil.rmtree(older, ignore_errors=True)


_LAST_LOOK: ContextVar[tuple[Path, Callable[[], None]] | None] = ContextVar("last look", default=None)


@contextmanager
def published_after(look: Callable[[], None], out: Path) -> Iterator[None]:
    """A block in which `look` is called before anything at or below `out` is replaced; its error keeps the old.

    It may be called more than once, since an output may be several files.
    """
    token = _LAST_LOOK.set((out, look))
    try:
        yield
    finally:
        _LAST_LOOK.reset(token)


def before_publishing(out: Path) -> None:
    """Call the last look, if there is one for this output: by whoever does something before that cannot be undone."""
    awaited = _LAST_LOOK.get()
    if awaited is not None and out.is_relative_to(awaited[0]):
        awaited[1]()


@contextmanager
def fresh_file(out: Path) -> Iterator[Path]:
    """A path beside `out`, with the same suffix, that takes its place when the block ends without an error.

    After an error nothing is left, not even a folder that was made for it.

    Raises:
        UserError: At `out` there is something else than a file: a device would be lost, and nothing reaches a pipe. Or
            there can be no file of that name.
    """
    try:
        is_file = stat.S_ISREG(out.stat().st_mode)
    except FileNotFoundError:
        is_file = True
    except OSError as error:  # a name that is too long, links that lead round in a circle
        raise UserError(f"{out}: cannot be written ({error.strerror}); name another path") from error
    if not is_file:
        raise UserError(f"{out}: is no ordinary file, so nothing is written in its place; name another path")
    made = [folder for folder in (out.parent, *out.parent.parents) if not folder.exists()]
    out.parent.mkdir(parents=True, exist_ok=True)
    # short: the name of the file itself may be as long as names can be
    unfinished = out.with_name(f".{secrets.token_hex(NUM_NAME_BYTES)}{out.suffix}")
    try:
        yield unfinished
        before_publishing(out)
        unfinished.replace(out)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        with suppress(OSError):  # others may have put something into it
            for folder in made:
                folder.rmdir()
        raise


def is_unfinished(path: Path) -> bool:
    """Whether a file has the name of one that `fresh_file` was writing, as a kill leaves it."""
    return re.fullmatch(rf"\.[0-9a-f]{{{2 * NUM_NAME_BYTES}}}", path.stem) is not None


def write_json(path: Path, value: Any) -> None:
    """Write sorted, indented JSON atomically; dataclasses and pydantic's models are objects of their fields."""
    with fresh_file(path) as unfinished:
        text = json.dumps(value, indent=2, sort_keys=True, default=_by_field)
        unfinished.write_text(text + "\n", encoding="utf-8")


def _by_field(record: Any) -> dict[str, Any]:
    if isinstance(record, BaseModel):
        return record.model_dump()
    return {field.name: getattr(record, field.name) for field in fields(record)}


def as_utf8(name: str | Path) -> str:
    r"""A name as text that can be written; bytes of it that are no UTF-8 are shown as `\xe9`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def no_room_said(error: BaseException) -> str | None:
    """What a full disk has said, if an error came of that; libraries pass it on in several ways."""
    one: BaseException | None = error
    while one is not None:
        if isinstance(one, OSError) and one.errno in NO_ROOM:
            return os.strerror(one.errno)
        if found := _NO_ROOM_SAID.search(str(one)):
            return found.group()
        one = one.__cause__ or one.__context__
    return None


def no_room_left(folder: Path) -> str | None:
    """What a full disk says, if that of the folder is full."""
    return os.strerror(errno.ENOSPC) if shutil.disk_usage(folder).free < FULL_BELOW_BYTES else None


def full_disk(path: Path | str, said: str) -> UserError:
    """The error of somebody who had no room to write to a path."""
    return UserError(f"{path}: cannot be written ({said}); make room and run the same command again")


def file_sha256(path: Path) -> bytes:
    """SHA-256 of the bytes of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def content_digest(path: Path, of_file: Callable[[Path], bytes] = file_sha256) -> str:
    """SHA-256 of a file, or of the names and contents of all files below a folder.

    Args:
        path: The file or folder.
        of_file: Says the SHA-256 of a file, for whoever need not read it.
    """
    digest = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
        digest.update(file.relative_to(path).as_posix().encode())
        digest.update(of_file(file))
    return digest.hexdigest()
