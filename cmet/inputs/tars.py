"""Tars that are not compressed, whose headers may say anything."""

import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, FileIO
from pathlib import Path


@contextmanager
def open_tar(source: Path | FileIO) -> Iterator[tarfile.TarFile]:
    """A tar to read in a block.

    Args:
        source: Its path, or the file itself, open at its beginning; it is closed after the block.

    Raises:
        tarfile.ReadError: A header is damaged, or says sizes that no file has.
    """
    raw = source if isinstance(source, FileIO) else FileIO(source)
    with _Bounded(raw) as stream, _Tar.open(fileobj=stream, mode="r:") as tar:
        yield tar


class _Bounded(BufferedReader):
    """A file of which nobody gets memory for more than it holds: Python's tarfile asks for what a header says."""

    def __init__(self, raw: FileIO) -> None:
        super().__init__(raw)
        self.num_bytes = os.fstat(raw.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        is_all = size is None or size < 0
        return super().read(-1 if is_all else min(size, max(0, self.num_bytes - self.tell())))  # type: ignore[type-var]


class _Tar(tarfile.TarFile):
    """A tar in which what follows a member lies behind it, and within the file."""

    fileobj: _Bounded
    firstmember: tarfile.TarInfo | None

    def next(self) -> tarfile.TarInfo | None:
        # the first one was read as the tar was opened
        if self.firstmember is None and self.offset > self.fileobj.num_bytes:
            raise tarfile.ReadError("unexpected end of data")
        try:
            member = super().next()
        # of sparse members and of extended headers, the numbers are taken on trust
        except (ValueError, OverflowError, MemoryError) as error:
            raise tarfile.ReadError(f"invalid header ({error})") from error
        if member is not None and member.size < 0:
            # it would be its own successor
            raise tarfile.ReadError("invalid header (a negative size)")
        return member
