"""Outputs that appear whole or not at all, and the place where unfinished work waits.

DVC deletes an output before it runs the stage, so work worth keeping over a kill lives in
`.work/<stage>/<key>/` and becomes the output by a rename.
"""

import fcntl
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from cmet.errors import UserError

LIMITS = frozenset({"max_rejected", "time_limit_s", "checkpoint_every", "num_processes"})
"""Parameters that decide which work is accepted, or how it is gone about, and change nothing of it."""


@contextmanager
def fresh_folder(out: Path) -> Iterator[Path]:
    """A new empty folder beside `out` that takes its place when the block ends without an error."""
    folder = out.with_name(f".{out.name}.unfinished")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
        publish(folder, out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(folder: Path, out: Path) -> None:
    """Make a finished folder the output, in place of an older one."""
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.exists():
        shutil.rmtree(out)
    folder.replace(out)


@contextmanager
def fresh_file(out: Path) -> Iterator[Path]:
    """A path beside `out`, with the same suffix, that takes its place when the block ends without an error.

    After an error nothing is left, not even a folder that was made for it.
    """
    made = [folder for folder in (out.parent, *out.parent.parents) if not folder.exists()]
    out.parent.mkdir(parents=True, exist_ok=True)
    # short: the name of the file itself may be as long as names can be
    unfinished = out.with_name(f".{secrets.token_hex(6)}{out.suffix}")
    try:
        yield unfinished
        unfinished.replace(out)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        with suppress(OSError):  # others may have put something into it
            for folder in made:
                folder.rmdir()
        raise


def write_json(path: Path, value: Any) -> None:
    """Write sorted, indented JSON atomically."""
    with fresh_file(path) as unfinished:
        unfinished.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def work_folder(root: Path, stage: str, params: BaseModel, inputs: list[Path], *facts: object) -> Path:
    """Folder for the unfinished work of one stage, the same one as long as inputs, params and code stay the same.

    Folders of the stage that belong to other inputs or params are deleted: their work can never be finished.

    Args:
        root: The project's `.work`.
        stage: Name of the stage, with backbone or encoder.
        params: Every parameter the result depends on; `LIMITS` among them do not count.
        inputs: Files whose content decides the result. A folder counts with all its files.
        facts: Values besides, on which the result depends.
    """
    digest = hashlib.sha256(params.model_dump_json(exclude=set(LIMITS)).encode())
    digest.update(repr(facts).encode())
    digest.update(_source_digest().encode())
    for path in inputs:
        digest.update(content_digest(path).encode())
    folder = root / stage / digest.hexdigest()[:16]
    if folder.parent.exists():
        for other in folder.parent.iterdir():
            if other != folder:
                shutil.rmtree(other)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def only_run(path: Path, stage: str) -> Iterator[None]:
    """Let no other process run the same stage during the block.

    Args:
        path: The lock file; it is there during the block only, or after a kill, when it locks nothing.
        stage: Name for the message.

    Raises:
        UserError: Another run holds the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        stream = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            stream.seek(0)
            with stream:
                raise UserError(
                    f"{stage}: another run of this stage is at work (pid {stream.read() or 'unknown'}); "
                    "wait for it or stop it"
                ) from error
        if _is_at(stream.fileno(), path):
            break
        # the run before removed the file after we had opened it
        stream.close()
    with stream:
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def content_digest(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of all files below a folder."""
    digest = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
        digest.update(file.relative_to(path).as_posix().encode())
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


@cache
def _source_digest() -> str:
    """Digest of this package's source: work begun by other code is not continued."""
    return content_digest_of_source(Path(__file__).parent)


def content_digest_of_source(package: Path) -> str:
    """SHA-256 over the Python files of a package."""
    digest = hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        digest.update(file.relative_to(package).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()
