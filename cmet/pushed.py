"""Outputs that are not on this machine, read where `dvc push` has put them: slices of files, and whole small ones.

`CMET_DVC_REMOTE` has the address of DVC's remote; without it there are none. Which object a file is says dvc.lock, and
for files in folders the list that DVC keeps of each. What was read stays in the cache of this machine.
"""

import hashlib
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, TypeVar

from cmet.errors import UserError
from cmet.inputs.files import MAX_TEXT_BYTES, BadFile
from cmet.objects.cache import ObjectCache
from cmet.objects.inventory import check_store_address
from cmet.objects.store import ObjectStore, store_at
from cmet.recorded import FOLDER_SUFFIX, LOCK, kept_as, listed_files, recorded_outputs

REMOTE_VARIABLE = "CMET_DVC_REMOTE"

Parsed = TypeVar("Parsed")

_KEPT = ExitStack()
"""Whole files that stay on the disk as long as this process."""


@dataclass(frozen=True)
class PushedFile:
    """A file of an output in the remote, or the list of a folder."""

    path: Path
    """Where it would be in the project."""
    address: str
    """Of the remote."""
    digest: str

    def beginning(self, num_bytes: int, parse: Callable[[bytes], Parsed]) -> Parsed:
        """As `read`, of the first bytes, with zeros behind them where the file has fewer."""
        return self._read(0, num_bytes, parse, is_filled_up=True)

    def read(self, offset: int, num_bytes: int, parse: Callable[[bytes], Parsed]) -> Parsed:
        """What a slice of the file says, from the cache or by one request.

        Args:
            offset: Where it begins.
            num_bytes: How long it is.
            parse: Gets the bytes, perhaps twice, and raises `BadFile` where they are not what they should be.

        Raises:
            BadFile: The file is not in the remote, or not whole there.
            UserError: The remote may not be read or cannot be reached, or the cache has no room.
        """
        return self._read(offset, num_bytes, parse, is_filled_up=False)

    def whole(self) -> Path:
        """All of the file, on this machine as long as this process runs.

        Raises:
            BadFile: The file is not in the remote, or has other bytes there.
            UserError: As `read`.
        """
        num_bytes = self._asked(lambda: self._store.look_at(self._object)).num_bytes

        def bring(target: Path) -> None:
            target.write_bytes(self.content(num_bytes))

        return _KEPT.enter_context(self._holding(0, num_bytes, bring))

    def content(self, max_bytes: int) -> bytes:
        """The bytes of a file that has no more, compared with its hash and not kept.

        Raises:
            BadFile: As `whole`.
            UserError: As `read`.
        """
        content = self._asked(lambda: self._store.read(self._object, 0, max_bytes))
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != self.digest.removesuffix(FOLDER_SUFFIX):
            raise self._damaged()
        return content

    def _read(self, offset: int, num_bytes: int, parse: Callable[[bytes], Parsed], is_filled_up: bool) -> Parsed:
        def bring(target: Path) -> None:
            content = self._asked(lambda: self._store.read(self._object, offset, num_bytes))
            if is_filled_up:
                content = content.ljust(num_bytes, b"\0")
            try:
                # before it is kept: what was cut short would stay damaged for ever
                parse(content)
            except BadFile as error:
                raise self._damaged() from error
            target.write_bytes(content)

        with self._holding(offset, num_bytes, bring) as file:
            content = file.read_bytes()
        try:
            return parse(content)
        except BadFile as error:
            raise BadFile(f"{file}: damaged since it came into the cache; remove it") from error

    def _holding(self, offset: int, num_bytes: int, bring: Callable[[Path], None]) -> AbstractContextManager[Path]:
        key = hashlib.sha256(repr((self.address, self.digest, offset, num_bytes)).encode()).hexdigest()[:32]
        return ObjectCache.of_machine().holding(key, self.path.name, num_bytes, bring)

    def _asked(self, work: Callable[[], Parsed]) -> Parsed:
        try:
            return work()
        except FileNotFoundError as error:
            raise BadFile(
                f"{self.path}: is not here, and {self.address} has no {self._object}; run `dvc push` where it was made"
            ) from error

    def _damaged(self) -> BadFile:
        return BadFile(
            f"{self.address}/{self._object}: damaged, or not {self.path.name}; remove it, and run `dvc push` where "
            "that is whole"
        )

    @property
    def _store(self) -> ObjectStore:
        return store_at(self.address)

    @property
    def _object(self) -> str:
        return kept_as(self.digest)


def pushed_file(path: Path) -> PushedFile | None:
    """A file of an output in the remote; None where no remote is named, or dvc.lock knows of no such file.

    Raises:
        BadFile: The list of the folder is not in the remote, or damaged.
        UserError: The remote may not be read or cannot be reached.
    """
    found = _output_above(path)
    if found is None:
        return None
    if not found.is_folder:
        return found.file if path.absolute() == found.file.path else None
    name = path.absolute().relative_to(found.file.path).as_posix()
    digest = _listed(found.file).get(name)
    return None if digest is None else PushedFile(path, found.file.address, digest)


def pushed_names(folder: Path) -> list[str]:
    """Names of the files in a folder of an output in the remote, without those in its folders; there may be none.

    Raises:
        BadFile: As `pushed_file`.
        UserError: As `pushed_file`.
    """
    found = _output_above(folder)
    if found is None or not found.is_folder:
        return []
    inside = folder.absolute().relative_to(found.file.path).as_posix()
    begin = "" if inside == "." else f"{inside}/"
    names = (name.removeprefix(begin) for name in _listed(found.file) if name.startswith(begin))
    return [name for name in names if "/" not in name]


def is_pushed(path: Path) -> bool:
    """Whether there is a file in the remote, or a folder with files.

    Raises:
        BadFile: As `pushed_file`.
        UserError: As `pushed_file`.
    """
    return pushed_file(path) is not None or bool(pushed_names(path))


def at_hand(path: Path) -> Path:
    """A small file of an output to read whole: the path itself, or what the remote has where nothing is there.

    Raises:
        BadFile: As `PushedFile.whole`.
        UserError: As `PushedFile.whole`.
    """
    pushed = None if path.exists() else pushed_file(path)
    return path if pushed is None else pushed.whole()


class _PushedOutput(NamedTuple):
    file: PushedFile
    """The output itself, or the list of its files."""
    is_folder: bool


def _output_above(path: Path) -> _PushedOutput | None:
    """The output that a path is, or leads into."""
    address = os.environ.get(REMOTE_VARIABLE, "").rstrip("/")
    if not address:
        return None
    try:
        check_store_address(address)
    except UserError as error:
        raise UserError(f"{REMOTE_VARIABLE}: {error}") from error
    path = path.absolute()
    root = next((folder for folder in path.parents if (folder / LOCK).is_file()), None)
    if root is None:
        return None
    for output in (output for outputs in recorded_outputs(root).values() for output in outputs):
        if path.is_relative_to(root / output.path):
            file = PushedFile(root / output.path, address, output.digest)
            return _PushedOutput(file, output.digest.endswith(FOLDER_SUFFIX))
    return None


@lru_cache(maxsize=32)
def _listed(folder: PushedFile) -> dict[str, str]:
    """MD5 of the files of an output."""
    return listed_files(folder.content(MAX_TEXT_BYTES), f"{folder.address}/{kept_as(folder.digest)}")
