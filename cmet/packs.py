"""Packs: files of which every clip has one, as members of tars, so that an output has few files however many clips.

A folder of packs holds `000-of-512.tar` to `511-of-512.tar`. Their number follows from that of the files, and the pack
of a file from its name alone, so neither the order of the work nor who does it shows in the bytes, and a file that
changes changes its pack only. A path goes on inside a pack as if that were a folder:
`video/003-of-512.tar/mead-M003-happy-1-021.mp4`.

A pack is an ordinary tar, as WebDataset reads it. Its first member is an index (which WebDataset passes over), so a
file is read as a slice, and compared with the checksum that the index has of it. So packs that are not on this machine
are read from the remote that `cmet.pushed` knows, if one is named: an index by one request, a file by another.
"""

import hashlib
import os
import re
import tarfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import NamedTuple

from cmet.errors import UserError
from cmet.inputs.files import MISSING, BadFile, kept_while_unchanged, oddity
from cmet.outputs import content_digest, fresh_file
from cmet.places import PushedFile, pushed_file, pushed_names
from cmet.progress import progress

FILES_PER_PACK = 256
"""As long as there are fewer than `MAX_PACKS`; then packs grow."""
MAX_PACKS = 1024

INDEX = "__index__"
MAX_INDEX_BYTES = 64 << 20
FIRST_BYTES = 256 << 10
"""So many are asked of a pack in a remote at first: the index of a pack of 3,000 clips fits in."""
BLOCK = 512
"""Members of a tar begin at multiples of it."""
END = bytes(2 * BLOCK)

_PACK_NAME = re.compile(r"(\d+)-of-(\d+)\.tar")
_FIRST_LINE = re.compile(rb"cmet packs 1 ([0-9a-f]{12}) ([0-9a-f]{8})(?=\n)")
"""Bytes after the index, and the checksum of the lines that follow."""
_LINE = re.compile(rb"\n([^/\t\n]+)\t([0-9a-f]{12})\t([0-9a-f]{12})\t([0-9a-f]{8})(?=\n)")
"""Name, offset from the end of the index, bytes and checksum of a file."""
_FILE_NAME = re.compile(r"[^/\t\n\0]+")


@dataclass(frozen=True)
class Packs:
    """A folder of packs."""

    folder: Path

    def path(self, name: str) -> Path:
        """Where a file is, or would be; where there are no packs, in the folder itself."""
        return self.folder / pack_name(name, self._num_packs) / name if self._num_packs else self.folder / name

    def __contains__(self, name: str) -> bool:
        """Whether there is a file of this name."""
        return has_file(self.path(name))

    def names(self) -> list[str]:
        """Names of all files, sorted.

        Raises:
            BadFile: A pack is missing or damaged.
        """
        return sorted(name for pack in self.packs for name in (_index_at(pack) or _open_index(pack)).names())

    @property
    def packs(self) -> list[Path]:
        """The packs themselves, in order."""
        return [self.folder / _numbered(number, self._num_packs) for number in range(self._num_packs)]

    @cached_property
    def _num_packs(self) -> int:
        totals = _totals(self.folder)
        if len(totals) > 1:
            raise BadFile(f"{self.folder}: holds packs of several sets ({', '.join(map(str, totals))}); {_AGAIN}")
        return totals[0] if totals else 0


def is_packed(path: Path) -> bool:
    """Whether a path leads into a pack, to a file that may be there or not."""
    return _PACK_NAME.fullmatch(path.parent.name) is not None and not path.parent.is_dir()


def has_file(path: Path) -> bool:
    """Whether there is a file, in a pack or in a folder.

    Raises:
        BadFile: The pack is damaged.
    """
    if not is_packed(path):
        return path.is_file()
    index = _index_at(path.parent)
    return index is not None and index.find(path.name) is not None


def read_packed(path: Path) -> bytes:
    """The bytes of a file in a pack.

    Raises:
        BadFile: It is not there, or the pack is damaged.
    """
    index, member = _found(path)

    def checked(content: bytes) -> bytes:
        if len(content) != member.num_bytes or zlib.crc32(content) != member.checksum:
            raise BadFile(f"{path}: damaged since it was written; {_AGAIN}")
        return content

    if index.pushed is not None:
        return index.pushed.read(member.offset, member.num_bytes, checked)
    with path.parent.open("rb") as stream:
        stream.seek(member.offset)
        return checked(stream.read(member.num_bytes))


@contextmanager
def plain_file(path: Path) -> Iterator[Path]:
    """A file that libraries can open by its name: the path itself, or a file in memory where it leads into a pack.

    What is opened in the block may be read after it.

    Raises:
        BadFile: As `read_packed`.
    """
    if not is_packed(path):
        yield path
        return
    content = memoryview(read_packed(path))
    number = os.memfd_create("cmet")
    try:
        while content:
            content = content[os.write(number, content) :]
        yield Path(f"/proc/self/fd/{number}")
    finally:
        os.close(number)


def unpack_file(path: Path, folder: Path) -> Path:
    """A file as a plain one under its own name: where it is, or in the folder where its path leads into a pack.

    Raises:
        BadFile: As `read_packed`.
    """
    if not is_packed(path):
        return path
    content = read_packed(path)
    with fresh_file(folder / path.name) as unfinished:
        unfinished.write_bytes(content)
    return folder / path.name


def file_digest(path: Path) -> str:
    """What `content_digest` says of a file, which may be in a pack.

    Raises:
        BadFile: As `read_packed`.
    """
    if not is_packed(path):
        return content_digest(path)
    return hashlib.sha256(b"." + hashlib.sha256(read_packed(path)).digest()).hexdigest()


def content_state(path: Path) -> list[int | str]:
    """What tells one content of a file from another: in a pack its size and checksum, which are there to be read.

    Raises:
        BadFile: As `read_packed`.
    """
    if not is_packed(path):
        return [content_digest(path)]
    _, member = _found(path)
    return [member.num_bytes, member.checksum]


def index_digest(folder: Path) -> str:
    """SHA-256 of the names, sizes and checksums of all files in the packs of a folder; only their indices are read.

    Raises:
        BadFile: A pack is missing or damaged.
    """
    digest = hashlib.sha256()
    for pack in Packs(folder).packs:
        digest.update(pack.name.encode() + _open_index(pack).lines)
    return digest.hexdigest()


def pack_files(folder: Path, names: Iterable[str], label: str) -> None:
    """Put the files of a folder into packs, and remove those that are not among the names.

    A pack at a time is written, and then its files are removed, so no more room is needed than for one. A call that was
    killed is followed by another: what has come to lie beside a pack meanwhile replaces what is in it.

    Args:
        folder: Made where there is none; there is an empty pack in it if there are no names.
        names: Files that lie there or are in packs there.
        label: Of the progress.

    Raises:
        UserError: A file is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    loose = {name for name in _names(folder) if not _PACK_NAME.fullmatch(name)}
    totals = _totals(folder)

    def content(name: str) -> bytes:
        if name in loose:
            return (folder / name).read_bytes()
        for total in totals:
            path = folder / pack_name(name, total) / name
            if has_file(path):
                return read_packed(path)
        raise UserError(f"{folder / name}: {MISSING}; {_AGAIN}")

    packs = _by_pack(names)
    with progress(label, sum(map(len, packs.values())), "file") as bar:
        for pack, wanted in packs.items():
            fresh = loose.intersection(wanted)
            if fresh or not (folder / pack).exists() or _open_index(folder / pack).names() != wanted:
                _write_pack(folder / pack, wanted, content)
            for name in fresh:
                (folder / name).unlink()
            bar.update(len(wanted))
    for name in set(_names(folder)) - packs.keys():
        (folder / name).unlink()


def write_packs(folder: Path, names: Iterable[str], content: Callable[[str], bytes], label: str) -> None:
    """Write packs of files that are not there yet.

    Args:
        folder: As of `pack_files`; packs that are there are replaced, those of another number too.
        names: Of the files.
        content: The bytes of a file.
        label: Of the progress.
    """
    folder.mkdir(parents=True, exist_ok=True)
    packs = _by_pack(names)
    for name in _names(folder):
        if _PACK_NAME.fullmatch(name) and name not in packs:
            (folder / name).unlink()
    with progress(label, sum(map(len, packs.values())), "file") as bar:
        for pack, wanted in packs.items():
            _write_pack(folder / pack, wanted, content)
            bar.update(len(wanted))


def num_packs(num_files: int) -> int:
    """How many packs so many files make: a power of two, so that a pack is split where there are more."""
    wanted = max(1, -(-num_files // FILES_PER_PACK))
    return min(MAX_PACKS, 1 << (wanted - 1).bit_length())


def pack_name(name: str, total: int) -> str:
    """In which of so many packs a file is; files that differ in their suffix only are in packs of the same number."""
    digest = hashlib.sha256(os.fsencode(os.path.splitext(name)[0])).digest()  # noqa: PTH122 - a Path takes ten times as long
    return _numbered(int.from_bytes(digest[:4], "big") % total, total)


class _Member(NamedTuple):
    """Where a file is in a pack; in its index, offsets count from the end of that."""

    offset: int
    num_bytes: int
    checksum: int


@dataclass(frozen=True)
class _Index:
    """What lies in a pack, as its first member says; a few bytes for each file."""

    pack: Path
    lines: bytes
    end: int
    """Where the index ends."""
    num_rest: int
    """Bytes that follow it."""
    pushed: PushedFile | None = None
    """The pack in the remote; None for one on this machine."""

    def find(self, name: str) -> _Member | None:
        """Where a file is; None where there is none of this name."""
        if not _FILE_NAME.fullmatch(name):
            return None
        place = self.lines.find(b"\n" + os.fsencode(name) + b"\t")
        if place < 0:
            return None
        match = _LINE.match(self.lines, place)
        if match is None:
            raise _damaged(self.pack)
        offset, num_bytes, checksum = (int(text, 16) for text in match.groups()[1:])
        if offset + num_bytes > self.num_rest:
            raise _damaged(self.pack)
        return _Member(self.end + offset, num_bytes, checksum)

    def names(self) -> list[str]:
        """Names of all files, sorted."""
        return [os.fsdecode(match[1]) for match in _LINE.finditer(self.lines)]


_AGAIN = "run the stage that writes it again"


def _damaged(pack: Path) -> BadFile:
    return BadFile(f"{pack}: damaged, or no pack that this version has written; {_AGAIN}")


def _found(path: Path) -> tuple[_Index, _Member]:
    index = _index_at(path.parent) if is_packed(path) else None
    member = index.find(path.name) if index is not None else None
    if index is None or member is None:
        raise BadFile(f"{path}: {MISSING}")
    return index, member


def _index_at(pack: Path) -> _Index | None:
    """The index of a pack on this machine, else of one in the remote; None where there is neither."""
    if pack.exists():
        return _open_index(pack)
    pushed = pushed_file(pack)
    return None if pushed is None else _pushed_index(pushed)


def _open_index(pack: Path) -> _Index:
    odd = oddity(pack)
    if odd is not None:
        raise BadFile(f"{pack}: {odd}; {_AGAIN}")
    try:
        return _read_index(pack)
    except OSError as error:
        raise BadFile(f"{pack}: cannot be read ({error.strerror})") from error


@kept_while_unchanged(2 * MAX_PACKS)
def _read_index(pack: Path) -> _Index:
    with pack.open("rb") as stream:
        found = _index_in(stream.read(BLOCK), pack)
        if isinstance(found, int):
            stream.seek(0)
            found = _index_in(stream.read(found), pack)
    if isinstance(found, int) or found.end + found.num_rest != pack.stat().st_size:
        raise _damaged(pack)
    return found


@lru_cache(maxsize=2 * MAX_PACKS)
def _pushed_index(pushed: PushedFile) -> _Index:
    """The index of a pack in the remote; how long the pack is there is not asked, so a file says when it is cut off."""
    found = pushed.beginning(FIRST_BYTES, partial(_index_in, pack=pushed.path))
    if isinstance(found, int):
        found = pushed.beginning(found, partial(_index_in, pack=pushed.path))
    if isinstance(found, int):
        raise _damaged(pushed.path)
    return replace(found, pushed=pushed)


def _index_in(beginning: bytes, pack: Path) -> _Index | int:
    """The index at the beginning of a pack; where that is too short for it, how many bytes it takes."""
    try:
        header = tarfile.TarInfo.frombuf(beginning[:BLOCK], "utf-8", "strict")
    except (tarfile.TarError, ValueError) as error:
        raise _damaged(pack) from error
    if header.name != INDEX or not 0 < header.size <= MAX_INDEX_BYTES:
        raise _damaged(pack)
    if len(beginning) < BLOCK + header.size:
        return BLOCK + header.size
    text = beginning[BLOCK : BLOCK + header.size]
    first = _FIRST_LINE.match(text)
    if first is None:
        raise _damaged(pack)
    lines, end = text[first.end() :], BLOCK + _padded(header.size)
    num_rest, checksum = (int(part, 16) for part in first.groups())
    if zlib.crc32(lines) != checksum:
        raise _damaged(pack)
    return _Index(pack, lines, end, num_rest)


def _write_pack(path: Path, names: Sequence[str], content: Callable[[str], bytes]) -> None:
    """Write a pack of these files, which are sorted."""
    # numbers have as many digits always, so the length of the index is known before they are
    blank = _index_text([(name, _Member(0, 0, 0)) for name in names], 0)
    members: list[tuple[str, _Member]] = []
    with fresh_file(path) as unfinished, unfinished.open("wb") as stream:
        stream.seek(end := BLOCK + _padded(len(blank)))
        for name in names:
            data = content(name)
            stream.write(_header(name, len(data)))
            members.append((name, _Member(stream.tell() - end, len(data), zlib.crc32(data))))
            stream.write(data)
            stream.write(bytes(_padded(len(data)) - len(data)))
        stream.write(END)
        text = _index_text(members, stream.tell() - end)
        stream.seek(0)
        stream.write(_header(INDEX, len(text)))
        stream.write(text)


def _index_text(members: Sequence[tuple[str, _Member]], num_rest: int) -> bytes:
    lines = b"".join(
        b"\n%s\t%012x\t%012x\t%08x" % (os.fsencode(name), *member) for name, member in members
    )  # fmt: skip
    lines += b"\n"
    return b"cmet packs 1 %012x %08x%s" % (num_rest, zlib.crc32(lines), lines)


def _header(name: str, num_bytes: int) -> bytes:
    """The same for every owner and at every time."""
    info = tarfile.TarInfo(name)
    info.size = num_bytes
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _padded(num_bytes: int) -> int:
    return -(-num_bytes // BLOCK) * BLOCK


def _by_pack(names: Iterable[str]) -> dict[str, list[str]]:
    """Names of all packs that these files make, each with its files, sorted."""
    wanted = sorted(names)
    for name in wanted:
        if not _FILE_NAME.fullmatch(name) or _PACK_NAME.fullmatch(name):
            raise UserError(f"{name!r}: no name for a file in a pack")
    total = num_packs(len(wanted))
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name in wanted:
        found[pack_name(name, total)].append(name)
    return {pack: found[pack] for number in range(total) if (pack := _numbered(number, total))}


def _numbered(number: int, total: int) -> str:
    return f"{number:0{len(str(total - 1))}d}-of-{total}.tar"


def _totals(folder: Path) -> list[int]:
    """Of how many packs those in a folder say that they are; no pack says it is one of 0."""
    found = {int(match[2]) for name in _names(folder) if (match := _PACK_NAME.fullmatch(name))}
    return sorted(found - {0})


def _names(folder: Path) -> list[str]:
    """What lies in a folder; where there is none, what the remote has of it."""
    if folder.is_dir():
        return os.listdir(folder)  # noqa: PTH208 - a Path for each of a million takes long
    return pushed_names(folder)
