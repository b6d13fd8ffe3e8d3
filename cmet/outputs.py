"""Outputs that appear whole or not at all."""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from pydantic import BaseModel


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


def content_digest(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of all files below a folder."""
    digest = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
        digest.update(file.relative_to(path).as_posix().encode())
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()
