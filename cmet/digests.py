"""Digests of large files that have not changed since: at 350 MiB/s, a corpus takes minutes to read.

A file is taken for the same while its path, size, time of change and inode are, as DVC takes it.
"""

import time
from functools import cached_property
from pathlib import Path

from cmet.inputs.files import BadFile
from cmet.inputs.texts import read_json
from cmet.outputs import content_digest, file_sha256, write_json

KEPT_FROM_BYTES = 1 << 20
"""What is smaller is read each time."""

TICK_NS = 2 * 10**9
"""A file that was changed less than this ago may change again without another time: some disks count in 2 s."""


class KeptDigests:
    """Digests of files and folders, with those of large files kept in a file of their own."""

    def __init__(self, path: Path) -> None:
        """Keep them here; the file need not be there, and what is no list of digests is not believed."""
        self.path = path
        self._found: dict[str, list[int | str]] = {}

    def of(self, path: Path) -> str:
        """What `content_digest` says of a file or folder."""
        digest = content_digest(path, self._of_file)
        if self._found:
            write_json(self.path, {**self._kept, **self._found})
            self._kept.update(self._found)
            self._found.clear()
        return digest

    def _of_file(self, file: Path) -> bytes:
        begun_ns, name, facts = time.time_ns(), str(file.absolute()), _facts(file)
        kept = self._kept.get(name)
        if isinstance(kept, list) and len(kept) == 4 and kept[:3] == facts and isinstance(kept[3], str):
            return bytes.fromhex(kept[3])
        digest = file_sha256(file)
        is_settled = facts == _facts(file) and facts[1] < begun_ns - TICK_NS
        if facts[0] >= KEPT_FROM_BYTES and is_settled:
            self._found[name] = [*facts, digest.hex()]
        return digest

    @cached_property
    def _kept(self) -> dict[str, object]:
        try:
            read = read_json(self.path)
        except BadFile:
            return {}
        if not isinstance(read, dict):
            return {}
        return {name: kept for name, kept in read.items() if Path(name).exists()}


def _facts(file: Path) -> list[int]:
    found = file.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ino]
