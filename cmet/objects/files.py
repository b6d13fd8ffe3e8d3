"""A path that goes on inside an inventory as a file on this machine: the one place where an object becomes one."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath

from cmet.errors import ClipError
from cmet.objects.cache import ObjectCache
from cmet.objects.inventory import Inventory, inventory_above, open_inventory
from cmet.objects.store import MISSING_OBJECT, store_at

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. +-]{0,120}", re.ASCII)

_KEPT = ExitStack()
"""Objects that stay on the disk as long as this process."""


@contextmanager
def on_disk(path: Path) -> Iterator[Path]:
    """A file with the bytes of `path`, which may go on inside an inventory: then one of the cache, held for the block.

    Raises:
        ClipError: `missing_object` or `changed_object`.
        UserError: The store may not be read or cannot be reached, or the cache has no room.
    """
    place = inventory_above(path)
    if place is None:
        yield path
        return
    with _fetched(open_inventory(place), path.relative_to(place).as_posix()) as file:
        yield file


def kept_on_disk(path: Path) -> Path:
    """As `on_disk`, for a small file that is read at once and once; where there is none, the path itself.

    Raises:
        ClipError: `changed_object`, or it vanished since it was listed.
        UserError: As `on_disk`.
    """
    place = inventory_above(path)
    if place is None or open_inventory(place).find(path.relative_to(place).as_posix()) is None:
        return path
    return _KEPT.enter_context(on_disk(path))


@contextmanager
def _fetched(inventory: Inventory, name: str) -> Iterator[Path]:
    stored = inventory.find(name)
    if stored is None:
        raise ClipError(MISSING_OBJECT, f"{inventory.path.name} lists no {name}")
    key = hashlib.sha256(repr((inventory.address, *stored)).encode("utf-8", "surrogatepass")).hexdigest()[:32]
    with ObjectCache.of_machine().holding(
        key, _file_name(name), stored.num_bytes, lambda target: store_at(inventory.address).bring(stored, target)
    ) as file:
        yield file


def _file_name(name: str) -> str:
    """The object's own name where that is a plain one, since messages repeat it; else only its suffix."""
    own = PurePosixPath(name).name
    suffix = PurePosixPath(name).suffix
    return own if _PLAIN.fullmatch(own) else f"object{suffix if _PLAIN.fullmatch(f'x{suffix}') else ''}"
