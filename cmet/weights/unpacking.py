"""The wanted files of a published archive, whatever else it holds."""

import gzip
import tarfile
import zlib
from collections.abc import Mapping
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, cast

from cmet.weights.containers import kind_of
from cmet.weights.routes import MAX_WEIGHTS_BYTES
from cmet.weights.transfer import CHUNK_BYTES, RouteFailed, check_room

MAX_READ_BYTES = 64 << 20
"""No header is as large; tarfile asks for what a header says."""

MAX_ARCHIVE_BYTES = 4 * MAX_WEIGHTS_BYTES
"""Once unpacked: a few kilobytes of gzip can stand for any number of zeros."""


def unpack(archive: Path, members: Mapping[str, str]) -> dict[str, Path]:
    """Write the wanted files of a tar, compressed with gzip or not, beside it.

    Folders in the archive decide nothing: a member counts by its last name, and is written under a name of ours.

    Args:
        archive: The tar.
        members: For each wanted last name, the name that the file gets.

    Returns:
        Where each file lies by the name it gets, as a hidden file beside the archive.

    Raises:
        RouteFailed: It is no such archive, is damaged, or holds more than it may.
        UserError: The disk is full.
    """
    found: dict[str, Path] = {}
    try:
        kind = kind_of(archive)
        if kind not in ("gzip", "tar"):
            raise RouteFailed(f"gave no tar archive, but this kind of file: {kind}; it was deleted")
        opener = gzip.open if kind == "gzip" else open
        with (
            opener(archive, "rb") as raw,
            tarfile.open(fileobj=cast(Any, _Bounded(cast(BufferedReader, raw))), mode="r:") as tar,
        ):
            for member in tar:
                wanted = members.get(Path(member.name).name)
                if wanted is None or wanted in found or not member.isreg():
                    continue
                if not 0 <= member.size <= MAX_WEIGHTS_BYTES:
                    raise RouteFailed(f"gave an archive whose {wanted} has {member.size:,} bytes; it was deleted")
                check_room(archive.parent, member.size)
                found[wanted] = archive.with_name(f".{wanted}.part")
                _write(cast("IO[bytes]", tar.extractfile(member)), found[wanted], member.size)
    except (tarfile.TarError, EOFError, OSError, ValueError, OverflowError, MemoryError, zlib.error) as error:
        _remove(found)
        if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
            raise
        raise RouteFailed(f"gave a damaged archive ({error}); it was deleted") from error
    except RouteFailed:
        _remove(found)
        raise
    return found


def _remove(found: Mapping[str, Path]) -> None:
    for path in found.values():
        path.unlink(missing_ok=True)


def _write(stream: IO[bytes], place: Path, size: int) -> None:
    left = size
    with place.open("wb") as file:
        while left:
            chunk = stream.read(min(left, CHUNK_BYTES))
            if not chunk:
                raise tarfile.ReadError("unexpected end of data")
            file.write(chunk)
            left -= len(chunk)


class _Bounded:
    """A stream of which no more is read than an archive of weights can have."""

    def __init__(self, raw: BufferedReader) -> None:
        self._raw = raw

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MAX_READ_BYTES:
            raise tarfile.ReadError("a header says a size that none has")
        if self._raw.tell() + size > MAX_ARCHIVE_BYTES:
            raise tarfile.ReadError("it holds more than weights can have")
        return self._raw.read(size)

    def seek(self, position: int, whence: int = 0) -> int:
        if not 0 <= position <= MAX_ARCHIVE_BYTES:
            raise tarfile.ReadError("it holds more than weights can have")
        return self._raw.seek(position, whence)

    def tell(self) -> int:
        return self._raw.tell()
