"""The inventory of an object store: a file with the name, size and version of every object below an address.

DVC watches the inventory as it watches a folder, so what is not in it does not exist, and an object that has changed
since is seen once the inventory is renewed. A path goes on inside an inventory as if that were a folder:
`mead.inventory/M003/front/angry/level_1/001.mp4`.

The first line has the address, each other line an object as a JSON list. Lines are sorted by name, so that one object
of a million is found without reading the rest.
"""

import json
import mmap
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from cmet.errors import UserError
from cmet.inputs.files import BadFile, kept_while_unchanged, oddity
from cmet.inputs.texts import parse_json, shown
from cmet.outputs import fresh_file

INVENTORY_SUFFIX = ".inventory"
FORMAT_KEY, FORMAT = "cmet_inventory", 1

MAX_NAME_BYTES = 255
"""Of a part of a path, on the usual disks."""

MAX_FIRST_LINE_BYTES = 1 << 16

MAX_PASSED = 1 << 14
"""Parts of an inventory are halved without reading as long as there are fewer."""

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*", re.ASCII)


class StoredObject(NamedTuple):
    """An object as the store lists it."""

    name: str
    """From the address on, with `/` between folders."""
    num_bytes: int
    version: str
    """Another one says that the bytes may be others: the ETag, or the time of change where a store has none."""


@dataclass(frozen=True)
class Inventory:
    """An open inventory, sorted by name."""

    path: Path
    address: str
    content: mmap.mmap
    begin: int
    """Where the first object's line begins."""
    _passed: dict[tuple[int, int], tuple[int, int, StoredObject]] = field(default_factory=dict)
    """The objects through which many searches go."""

    def find(self, name: str) -> StoredObject | None:
        """The object of this name; None where there is none.

        Raises:
            BadFile: A line is damaged.
        """
        low, high = self.begin, len(self.content)
        while low < high:
            start, end, found = self._passed.get((low, high)) or self._middle(low, high)
            if found.name == name:
                return found
            if found.name < name:
                low = end + 1
            else:
                high = start
        return None

    def objects(self) -> Iterator[StoredObject]:
        """All objects, by name.

        Raises:
            BadFile: A line is damaged.
        """
        start = self.begin
        while start < len(self.content):
            end = self.content.find(b"\n", start)
            yield self._object(start, end)
            start = end + 1

    def _middle(self, low: int, high: int) -> tuple[int, int, StoredObject]:
        """The object in the middle of a part, and where its line begins and ends."""
        start = self.content.rfind(b"\n", low, (low + high) // 2) + 1 or low
        end = self.content.find(b"\n", start)
        found = start, end, self._object(start, end)
        if (high - low) * MAX_PASSED > len(self.content):
            self._passed[low, high] = found
        return found

    def _object(self, start: int, end: int) -> StoredObject:
        try:
            match json.loads(self.content[start:end]):
                case [str() as name, int() as num_bytes, str() as version] if num_bytes >= 0:
                    return StoredObject(name, num_bytes, version)
        except ValueError as error:
            raise _damaged_inventory(self.path) from error
        raise _damaged_inventory(self.path)


def check_store_address(address: str) -> None:
    """Go on with an address below which objects can be listed.

    Raises:
        UserError: It is none, or has something in it that does not belong into a file.
    """
    try:
        parts = urlsplit(address)
        secrets = parts.password or parts.username, parts.query
    except ValueError as error:
        raise UserError(f"{shown(address)}: no address of an object store ({error})") from error
    if any(secrets) or "@" in parts.netloc:
        # the address itself is not repeated: it would stand in a log
        raise UserError(
            f"the address at {parts.scheme}://{shown(str(parts.hostname))} has a user, a password or a query in it; "
            "leave it out, since credentials come from the environment (AWS_PROFILE, AWS_ACCESS_KEY_ID and the like)"
        )
    if not _SCHEME.fullmatch(parts.scheme) or "::" in address or not (parts.netloc or parts.path.strip("/")):
        raise UserError(f"{shown(address)}: no address of an object store; expected one like s3://bucket/folder")


def refuse_address(path: Path) -> None:
    """Go on with a path that was not meant as an address, in which a Path leaves one slash of two.

    Raises:
        UserError: It was; the message says how an address becomes an inventory.
    """
    match = re.search(r"(?:^|/)([a-z][a-z0-9+.-]+):/", str(path))
    if match:
        raise UserError(
            f"{match[1]}:/{shown(str(path)[match.end() - 1 :])}: an address, whose objects are listed first: run "
            "`cmet corpus inventory CORPUS.inventory --of ADDRESS`, and name that file"
        )


def is_inventory(path: Path) -> bool:
    """Whether a path is an inventory, so that paths may go on inside it."""
    return path.suffix == INVENTORY_SUFFIX and path.is_file()


def is_tree(path: Path) -> bool:
    """Whether paths go on inside of this one: it is a folder or an inventory."""
    return path.is_dir() or is_inventory(path)


def inventory_above(path: Path) -> Path | None:
    """The inventory that a path goes into, or None for a path on the disk."""
    return next((parent for parent in path.parents if is_inventory(parent)), None)


def stored_object(path: Path) -> StoredObject | None:
    """The object that a path leads to; None where it leads to none, or to a place on the disk.

    Raises:
        BadFile: The inventory is damaged.
    """
    place = inventory_above(path)
    return None if place is None else open_inventory(place).find(path.relative_to(place).as_posix())


def is_plain_name(name: str) -> bool:
    """Whether the name of an object could be that of a file, and of no other one."""
    parts = name.split("/")
    return (
        "\0" not in name
        and PurePosixPath(name).as_posix() == name
        and not any(part in ("", ".", "..") or len(os.fsencode(part)) > MAX_NAME_BYTES for part in parts)
    )


def open_inventory(path: Path) -> Inventory:
    """An inventory to look into.

    Raises:
        BadFile: It is missing, or is no inventory.
    """
    odd = oddity(path)
    if odd is not None:
        raise BadFile(f"{path}: {odd}")
    try:
        return _opened(path)
    except OSError as error:
        raise BadFile(f"{path}: cannot be read ({error.strerror})") from error


def write_inventory(path: Path, address: str, objects: Iterable[StoredObject]) -> None:
    """Write an inventory; the same bytes for the same objects in whatever order.

    Raises:
        UserError: The path has another suffix, or two objects have one name.
    """
    if path.suffix != INVENTORY_SUFFIX:
        raise UserError(f"{path}: an inventory is told by its name; expected one that ends in {INVENTORY_SUFFIX}")
    with fresh_file(path) as unfinished, unfinished.open("w", encoding="ascii", newline="\n") as stream:
        stream.write(json.dumps({FORMAT_KEY: FORMAT, "address": address}) + "\n")
        before = None
        for one in sorted(objects):
            if one.name == before:
                raise UserError(f"{address}: lists {one.name!r} twice")
            stream.write(json.dumps(one) + "\n")
            before = one.name


@kept_while_unchanged(8)
def _opened(path: Path) -> Inventory:
    with path.open("rb") as stream:
        first = stream.readline(MAX_FIRST_LINE_BYTES)
        content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    head: Any = parse_json(first, path) if first.endswith(b"\n") else None
    match head:
        case {"address": str() as address, "cmet_inventory": 1} if content[-1:] == b"\n":
            check_store_address(address)
            return Inventory(path, address, content, len(first))
    raise _damaged_inventory(path)


def _damaged_inventory(path: Path) -> BadFile:
    return BadFile(f"{path}: damaged, or no inventory of this version; write it again with `cmet corpus inventory`")
