"""Raw files as they really arrive: inside archives that are never unpacked, or as something else in their place.

A path may go on inside a tar or zip, as if the archive were a folder: `M003/video.tar/front/angry/level_1/001.mp4`.
Either may lie in an object store (`cmet.objects`).
"""

import os
import re
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from cmet.errors import ClipError
from cmet.inputs.files import kept_while_unchanged
from cmet.inputs.tars import open_tar
from cmet.objects.files import on_disk
from cmet.objects.inventory import stored_object

TAR_SUFFIX, ZIP_SUFFIX = ".tar", ".zip"
ARCHIVE_SUFFIXES = frozenset({TAR_SUFFIX, ZIP_SUFFIX})

NUM_HEAD_BYTES = 1024
"""A git-lfs pointer is smaller than this, and a web page shows itself in as many bytes."""

TAR_BLOCK = 512
CHUNK_BYTES = 1 << 20
MAX_UNPACKED_BYTES, MAX_RATIO = 1 << 30, 100
"""A zip member that is larger, and packed more tightly, holds nothing but repetition and would fill the disk."""

MAX_CACHED = 8
"""Archives whose index a process keeps."""

_POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\s+oid sha256:([0-9a-f]{64})\s+size (\d+)")


@dataclass(frozen=True)
class Pointer:
    """What a git-lfs pointer promises."""

    sha256: str
    num_bytes: int


@dataclass(frozen=True)
class ArchiveIndex:
    """What lies in an archive."""

    sizes: dict[str, int]
    """Bytes of every plain file by its name, without a leading `./`."""
    raw_names: dict[str, str] = field(default_factory=dict)
    """As the archive itself writes them."""
    offsets: dict[str, int] = field(default_factory=dict)
    """Where the bytes of a tar member begin."""
    refused: dict[str, str] = field(default_factory=dict)
    """Members that are links, leave the archive's folder or come twice, with the reason."""
    damage: str | None = None
    """Why the archive ends before it should; what came before is in `sizes`."""
    zipped: zipfile.ZipFile | None = None
    """An open zip: each opening reads the whole directory, which for one clip after the other takes quadratic time."""


@contextmanager
def local_file(path: Path) -> Iterator[Path]:
    """A file on disk with the bytes of `path`, which may go on inside an archive or an inventory.

    It may be gone with the block.

    Raises:
        ClipError: `zero_bytes`, `lfs_pointer` or `html_page`: something else lies in the place of the medium;
            `missing_member`, `bad_archive`, `unreadable_file`; `missing_object`, `changed_object`.
        UserError: As `on_disk`.
    """
    archive = archive_above(path)
    if archive is None:
        with on_disk(path) as file:
            refuse_stand_in(file)
            yield file
        return
    with tempfile.TemporaryDirectory(prefix="cmet-") as folder:
        # the name is ours, the member's name decides nothing but the suffix
        file = Path(folder) / f"member{path.suffix.lower()}"
        name = path.relative_to(archive).as_posix()
        with file.open("wb") as target, open_member(archive, name) as source:
            shutil.copyfileobj(source, target, CHUNK_BYTES)
        refuse_stand_in(file)
        yield file


def archive_above(path: Path) -> Path | None:
    """The archive that `path` goes into, or None for a plain path."""
    for parent in path.parents:
        if parent.suffix.lower() in ARCHIVE_SUFFIXES and (parent.is_file() or stored_object(parent) is not None):
            return parent
    return None


def state_of(path: Path) -> list[int | str] | None:
    """Size, time of change and inode of a file or the archive it is in, or size and version of an object.

    DVC tells files apart by the same; None of what is not there.
    """
    whole = archive_above(path) or path
    stored = stored_object(whole)
    if stored is not None:
        return [stored.num_bytes, stored.version]
    try:
        found = whole.stat()
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns, found.st_ino]


def stand_in(head: bytes) -> str | None:
    """What a file that begins with `head` is instead of a medium: `zero_bytes`, `lfs_pointer`, `html_page` or None."""
    if not head:
        return "zero_bytes"
    if _POINTER.match(head):
        return "lfs_pointer"
    # no medium begins like this; servers answer a refused download with HTML, XML or JSON
    if re.match(rb"(\xef\xbb\xbf)?\s*[<{]", head):
        return "html_page"
    return None


def read_pointer(head: bytes) -> Pointer | None:
    """The promise of a git-lfs pointer, None when the bytes are something else."""
    match = _POINTER.match(head)
    return Pointer(match[1].decode(), int(match[2])) if match else None


def read_head(path: Path) -> bytes:
    """The first bytes of a file, which say what it is.

    Raises:
        ClipError: `unreadable_file`.
    """
    try:
        with path.open("rb") as stream:
            return stream.read(NUM_HEAD_BYTES)
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError) -> ClipError:
    """The reason to leave out a file that cannot even be opened."""
    return ClipError("unreadable_file", f"{path.name} cannot be read ({error.strerror or error})")


def refuse_stand_in(path: Path) -> None:
    """Raise when a file is not the medium its name promises.

    Raises:
        ClipError: `zero_bytes`, `lfs_pointer`, `html_page` or `unreadable_file`. A missing file raises nothing: the
            reader says so.
    """
    if not path.is_file():
        return
    head = read_head(path)
    kind = stand_in(head)
    if kind is not None:
        raise ClipError(kind, f"{path.name} {about_stand_in(kind, head, path.name)}")


def about_stand_in(kind: str, head: bytes, name: str) -> str:
    """What is wrong with a file of a kind of `stand_in`, and what to do; follows its name in a sentence.

    Args:
        kind: As `stand_in` says.
        head: The first bytes of the file.
        name: The file, as its repository may call it.
    """
    if kind == "zero_bytes":
        return "is empty"
    pointer = read_pointer(head)
    if pointer is not None:
        return f"is a git-lfs pointer to {pointer.num_bytes} bytes, not the file; run `{lfs_pull([name])}`"
    return "is a web page or an error message (a refused download); fetch it again"


def lfs_pull(patterns: Sequence[str]) -> str:
    """The command that fetches these files of git-lfs; each is a name, or a pattern from the repository on."""
    return f'git lfs pull --include "{",".join(patterns)}"'


def read_archive(path: Path) -> ArchiveIndex:
    """Names, sizes and places of the files in a tar or zip; reads headers only.

    Raises:
        ClipError: `zero_bytes`, `lfs_pointer`, `html_page`, `bad_archive` or `unreadable_file`.
    """
    try:
        with on_disk(path) as file:
            return _index_of(file)
    except OSError as error:
        raise unreadable(path, error) from error


@contextmanager
def open_member(archive: Path, name: str) -> Iterator[IO[bytes]]:
    """The bytes of one member.

    Raises:
        ClipError: `missing_member` or `bad_archive`.
    """
    with on_disk(archive) as file, _open_member(file, name) as stream:
        yield stream


@contextmanager
def _open_member(archive: Path, name: str) -> Iterator[IO[bytes]]:
    try:
        index = _index_of(archive)
    except OSError as error:
        raise unreadable(archive, error) from error
    if name not in index.sizes:
        raise ClipError("missing_member", f"{archive.name} does not contain {name}")
    if index.zipped is not None:
        try:
            with index.zipped.open(index.raw_names[name]) as stream:
                yield stream
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise ClipError("bad_archive", f"{name} in {archive.name} is damaged ({error})") from error
        except RuntimeError as error:
            # an encrypted member, or a kind of compression that only some programs know
            raise ClipError("bad_archive", f"{name} in {archive.name}: {error}; unpack the archive") from error
        return
    with archive.open("rb") as file:
        yield _Slice(file, index.offsets[name], index.sizes[name])  # type: ignore[misc]


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file from front to back; `path` may go on inside an archive or an inventory.

    Raises:
        ClipError: As `open_member` and `on_disk`, or `unreadable_file`.
        UserError: As `on_disk`.
    """
    archive = archive_above(path)
    try:
        if archive is None:
            with on_disk(path) as file, file.open("rb") as stream:
                yield stream
        else:
            with open_member(archive, path.relative_to(archive).as_posix()) as stream:
                yield stream
    except OSError as error:
        raise unreadable(path, error) from error


def size_of(path: Path) -> int:
    """Bytes of a file; `path` may go on inside an archive or an inventory.

    Raises:
        ClipError: `missing_member`, `unreadable_file`, or as `read_archive`.
    """
    archive = archive_above(path)
    if archive is None:
        stored = stored_object(path)
        if stored is not None:
            return stored.num_bytes
        try:
            return path.stat().st_size
        except OSError as error:
            raise unreadable(path, error) from error
    name = path.relative_to(archive).as_posix()
    sizes = read_archive(archive).sizes
    if name not in sizes:
        raise ClipError("missing_member", f"{archive.name} does not contain {name}")
    return sizes[name]


def has_same_bytes(path: Path, other: Path) -> bool:
    """Whether two files, or members of archives, are copies of one another.

    Raises:
        ClipError: As `open_bytes`.
    """
    if size_of(path) != size_of(other):
        return False
    one, another = stored_object(path), stored_object(other)
    if one is not None and another is not None and one.version == another.version:
        return True
    with open_bytes(path) as left, open_bytes(other) as right:
        while part := left.read(CHUNK_BYTES):
            if part != right.read(CHUNK_BYTES):
                return False
    return True


class _Slice:
    """A span of an open file, read from front to back."""

    def __init__(self, file: IO[bytes], offset: int, num_bytes: int) -> None:
        self.file, self.left = file, num_bytes
        file.seek(offset)

    def read(self, size: int = -1) -> bytes:
        part = self.file.read(self.left if size < 0 else min(size, self.left))
        self.left -= len(part)
        return part


@kept_while_unchanged(MAX_CACHED)
def _index_of(path: Path) -> ArchiveIndex:
    refuse_stand_in(path)
    if path.suffix.lower() == ZIP_SUFFIX:
        return _read_zip(path)
    try:
        return _read_tar(path)
    except tarfile.TarError as error:
        raise ClipError("bad_archive", f"{path.name} begins with a damaged header ({error})") from error


def _read_zip(path: Path) -> ArchiveIndex:
    try:
        zipped = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise ClipError("bad_archive", f"{path.name} is not a zip file, or is cut short ({error})") from error
    files = [info for info in zipped.infolist() if not info.filename.endswith(("/", "\\"))]
    bombs = {
        info.filename for info in files if info.file_size > max(MAX_UNPACKED_BYTES, MAX_RATIO * info.compress_size)
    }
    members: list[tuple[str, int, int | None]] = [
        (info.filename, info.file_size, None) for info in files if info.filename not in bombs
    ]
    return _index(members, dict.fromkeys(bombs, "unpacks to far more than a clip"), None, zipped)


def _read_tar(path: Path) -> ArchiveIndex:
    num_bytes = path.stat().st_size
    with path.open("rb") as stream:
        magic = stream.read(TAR_BLOCK)[257:262]
    if magic != b"ustar":
        raise ClipError("bad_archive", f"{path.name} is not a tar file ({_what_instead(path)})")
    members: list[tuple[str, int, int | None]] = []
    refused: dict[str, str] = {}
    damage = None
    with open_tar(path) as file:
        end = 0
        while True:
            try:
                member = file.next()
            except tarfile.TarError as error:
                damage = f"unreadable after {len(members)} files ({error})"
                break
            if member is None:
                damage = damage or _missing_end(path, end)
                break
            end = member.offset_data + -(-member.size // TAR_BLOCK) * TAR_BLOCK
            if member.isreg() and member.offset_data + member.size > num_bytes:
                damage = f"cut short inside {member.name}"
                break
            # the bytes of a sparse member are not the file's
            if member.isreg() and not member.issparse():
                members.append((member.name, member.size, member.offset_data))
            elif not member.isdir():
                refused[member.name] = "is not a regular file"
            # the list of headers grows with the archive, and only the current one is needed
            file.members.clear()  # type: ignore[attr-defined]
    return _index(members, refused, damage)


def _what_instead(path: Path) -> str:
    head = read_head(path)
    if head.startswith(b"\x1f\x8b"):
        return "compressed with gzip, so its clips cannot be read one by one; gunzip it first"
    if head.startswith(b"PK"):
        return "a zip file; rename it to .zip"
    return "no `ustar` at byte 257"


def _missing_end(path: Path, end: int) -> str | None:
    """A tar ends with blocks of zeros; one cut between two files does not."""
    with path.open("rb") as stream:
        stream.seek(end)
        return None if stream.read(2 * TAR_BLOCK) == bytes(2 * TAR_BLOCK) else "cut short between two files"


def _index(
    members: list[tuple[str, int, int | None]],
    refused: dict[str, str],
    damage: str | None,
    zipped: zipfile.ZipFile | None = None,
) -> ArchiveIndex:
    sizes: dict[str, int] = {}
    raw_names: dict[str, str] = {}
    offsets: dict[str, int] = {}
    for raw_name, size, offset in members:
        # old programs of Windows write `front\\001.mp4` into a zip
        plain_name = raw_name if zipped is None else PureWindowsPath(raw_name).as_posix()
        name = os.path.normpath(plain_name)
        if PureWindowsPath(plain_name).anchor or ".." in PurePosixPath(plain_name).parts or "\\" in plain_name:
            refused[raw_name] = "points outside the archive"
        elif name in sizes:
            refused[raw_name] = "appears twice"
        else:
            sizes[name] = size
            raw_names[name] = raw_name
            if offset is not None:
                offsets[name] = offset
    return ArchiveIndex(sizes, raw_names, offsets, refused, damage, zipped)
