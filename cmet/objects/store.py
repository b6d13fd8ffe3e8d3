"""An object store by its address, through fsspec: what is there, and one object as a file.

Credentials and endpoint come from where the client of the store looks for them (for S3 the environment, profiles, the
machine's role), never from an address.
"""

import errno
import importlib.util
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, TypeVar

from cmet.errors import ClipError, UserError
from cmet.inputs.texts import shown
from cmet.objects.inventory import StoredObject, check_store_address
from cmet.outputs import no_room_said

WAITS_S = (0.5, 2.0, 8.0)
"""After each failure but the last one."""

MISSING_OBJECT, CHANGED_OBJECT = "missing_object", "changed_object"
"""Reasons of a clip whose object is not what the inventory says."""

_VERSIONS = ("ETag", "etag", "md5Hash", "content_md5", "LastModified", "last_modified", "mtime", "created")
"""Where the backends of fsspec say what tells one state of an object from another, the best first."""

Result = TypeVar("Result")
Errors = tuple[type[Exception], ...]


@dataclass(frozen=True)
class ObjectStore:
    """All objects below an address."""

    address: str

    def objects(self) -> list[StoredObject]:
        """What the store lists, in as few requests as it allows and none for each object; by name.

        Raises:
            UserError: There is no such place or it is empty, it may not be read, or cannot be reached.
        """
        try:
            found = self._tried(lambda: self._filesystem.find(self._root, detail=True))
        except FileNotFoundError as error:
            raise UserError(f"{self.address}: no such bucket or folder") from error
        objects = sorted(self._listed(found))
        if not objects:
            raise UserError(f"{self.address}: there is no object below this address")
        return objects

    def look_at(self, name: str) -> StoredObject:
        """One object as the store has it at this moment.

        Raises:
            FileNotFoundError: There is none of this name.
            UserError: It may not be read, or the store cannot be reached.
        """
        info = self._tried(lambda: self._filesystem.info(self._path(name)))
        return StoredObject(name, info["size"], _version(info))

    def bring(self, stored: StoredObject, target: Path) -> None:
        """Write the bytes of an object to a file.

        Raises:
            ClipError: `missing_object` or `changed_object`: it is not what the inventory says.
            OSError: The disk is full.
            UserError: It may not be read, or the store cannot be reached.
        """
        place = f"{self.address}/{stored.name}"
        try:
            self._tried(lambda: self._filesystem.get_file(self._path(stored.name), str(target)))
            # afterwards: bytes that came before a change would carry its version
            found = self.look_at(stored.name)
        except FileNotFoundError as error:
            raise ClipError(MISSING_OBJECT, f"{place} is in the inventory, but no longer in the store") from error
        if found != stored or target.stat().st_size != stored.num_bytes:
            raise ClipError(
                CHANGED_OBJECT, f"{place} has changed since it was listed; renew the list with `cmet corpus inventory`"
            )

    def read(self, name: str, offset: int, num_bytes: int) -> bytes:
        """A slice of an object, in one request; shorter where the object ends before.

        Raises:
            FileNotFoundError: There is none of this name.
            UserError: It may not be read, or the store cannot be reached.
        """

        def slice_of() -> bytes:
            try:
                return self._filesystem.cat_file(self._path(name), start=offset, end=offset + num_bytes)
            except OSError as error:
                if error.errno == errno.EINVAL:  # it begins behind the end, says S3
                    return b""
                raise

        return self._tried(slice_of) if num_bytes else b""

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        import fsspec

        check_store_address(self.address)
        try:
            return fsspec.url_to_fs(self.address, use_listings_cache=False)
        except ImportError as error:
            advice = "pip install 'cmet[s3]'" if self.address.startswith("s3://") else str(error)
            raise UserError(f"{self.address}: what reads it is not installed: {advice}") from error
        except ValueError as error:
            raise UserError(f"{self.address}: no address that can be read ({shown(str(error))})") from error

    @property
    def _filesystem(self) -> Any:
        return self._opened[0]

    @property
    def _root(self) -> str:
        return self._opened[1].rstrip("/")

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _listed(self, found: dict[str, dict[str, Any]]) -> Iterator[StoredObject]:
        for path, info in found.items():
            name = path.removeprefix(f"{self._root}/")
            # consoles make empty objects for folders; the place itself may be one object
            if info["type"] == "file" and not name.endswith("/") and name != path:
                yield StoredObject(name, info["size"], _version(info))

    def _tried(self, work: Callable[[], Result]) -> Result:
        """What the work gives, if need be after some tries.

        Raises:
            FileNotFoundError: The store says so.
            OSError: The disk is full.
            UserError: All else.
        """
        self._opened  # noqa: B018 - its own errors are no failures of the work
        final, passing = _client_errors()
        failures = 0
        while True:
            try:
                return work()
            except FileNotFoundError:
                raise
            except final as error:
                raise UserError(
                    f"{self.address}: may not be read ({shown(str(error))}); credentials come from the environment or "
                    "a profile"
                ) from error
            except passing as error:
                if no_room_said(error) is not None:
                    raise
                if failures == len(WAITS_S):
                    raise UserError(
                        f"{self.address}: cannot be reached, or the connection broke {failures + 1} times in a row "
                        f"({shown(str(error))}); what is done is kept, so run the same command again"
                    ) from error
            time.sleep(WAITS_S[failures])
            failures += 1


@lru_cache(maxsize=8)
def store_at(address: str) -> ObjectStore:
    """The same one for an address each time, so that its client begins once."""
    return ObjectStore(address)


def _version(info: dict[str, Any]) -> str:
    value = next((info[key] for key in _VERSIONS if info.get(key) is not None), "")
    return value.isoformat() if isinstance(value, datetime) else str(value).strip('"')


def _client_errors() -> tuple[Errors, Errors]:
    """What backends raise where another try is of no use, and else; the client of S3 has errors of its own."""
    if importlib.util.find_spec("s3fs") is None:
        return (PermissionError,), (OSError,)
    from aiohttp import ClientError as HttpError
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        CredentialRetrievalError,
        NoCredentialsError,
        PartialCredentialsError,
        ProfileNotFound,
    )

    final = (PermissionError, CredentialRetrievalError, NoCredentialsError, PartialCredentialsError, ProfileNotFound)
    return final, (OSError, BotoCoreError, ClientError, HttpError)
