"""One file from one address, carried on where an earlier call was interrupted, also by a kill.

What has come lies beside the file as `.<name>.part`, and beside that `.<name>.part.json`, which says of what it is a
part. huggingface_hub from version 2 on downloads into files that no later call finds again, so its files come this way,
too.
"""

import email.utils
import hashlib
import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cmet.errors import UserError
from cmet.inputs.files import BadFile
from cmet.inputs.texts import read_json, shown
from cmet.outputs import full_disk, no_room_said, write_json
from cmet.progress import Progress, progress

if TYPE_CHECKING:
    from requests import Response, Session

CHUNK_BYTES = 1 << 14
"""At most as much is lost with a kill."""

MEBIBYTE = 1 << 20
SHORT_MIB = 8
"""What is smaller comes without a word."""

SPARE_BYTES = 64 << 20
"""So much room is left on the disk."""

CONNECT_S, SILENCE_S = 10, 60
NUM_TRIES = 6
"""In a row without a single byte."""

WAITS_S = (1, 2, 4, 8, 16)
MAX_WAIT_S = 120
"""Who is asked to wait longer is told so instead."""

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers after which the next try may succeed."""

DIGESTS = {64: "sha256", 40: "git_sha1"}
"""What a hub's ETag is, by its length: the SHA-256 of a large file, git's name of a small one."""


class RouteFailed(Exception):
    """A file cannot be had this way; the message says why, and goes on after the name of the route and a colon."""


@dataclass(frozen=True)
class Address:
    """An address, and what is known of the file there."""

    url: str
    identity: str
    """Names the bytes, or where they are: a part with the same one is carried on."""
    is_fixed: bool = False
    """Whether the bytes of this identity are always the same, so that no ETag is needed."""
    size_bytes: int | None = None
    max_bytes: int = sys.maxsize
    is_hub: bool = False
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass
class Part:
    """What is known of a file that is only partly here."""

    identity: str
    validator: str | None = None
    """Its ETag, or else its time of change, for If-Range."""
    digest: str | None = None
    """As a hub states it."""


def transfer(address: Address, path: Path, label: str) -> Part:
    """Bring the rest of a file, or all of it, to `path`, the name of its part.

    Args:
        address: Where it is.
        path: Grows with every chunk, and stays after an error.
        label: Stands before the progress.

    Returns:
        What the server has said of it.

    Raises:
        RouteFailed: The server does not have it, refuses it, sends something else, or cannot be reached.
        UserError: The disk is full.
    """
    import requests

    total = None if address.size_bytes is None else _mebibytes(address.size_bytes)
    held = _held(path) if _part(path).identity == address.identity else 0
    with (
        requests.Session() as session,
        progress(label, total, "MiB", _mebibytes(held), is_passing=total is not None and total < SHORT_MIB) as bar,
    ):
        run = _Run(session, address, path, label, _Counter(bar, held))
        failures = 0
        while not run.is_whole:
            before = run.counter.num_bytes
            try:
                run.go_on()
                continue
            except _Passing as error:
                problem, wait_s = str(error), error.wait_s
            except requests.exceptions.SSLError as error:
                raise RouteFailed(f"its certificate is not trusted ({shown(str(error))})") from error
            except requests.exceptions.InvalidURL as error:
                raise RouteFailed(f"leads to a wrong address ({shown(str(error))})") from error
            except requests.exceptions.RequestException as error:
                problem, wait_s = f"the connection broke ({shown(str(error))})", None
            except OSError as error:
                said = no_room_said(error)
                if said is None:
                    raise
                raise full_disk(path, said) from error
            failures = 1 if run.counter.num_bytes > before else failures + 1
            if failures >= NUM_TRIES:
                raise RouteFailed(f"{problem}, {NUM_TRIES} times in a row")
            time.sleep(WAITS_S[failures - 1] if wait_s is None else wait_s)
    return _part(path)


def state_file(path: Path) -> Path:
    """What is known of a part."""
    return path.with_name(f"{path.name}.json")


def check_room(folder: Path, num_bytes: int) -> None:
    """Look whether so much more fits on the disk of a folder, which need not exist yet.

    Raises:
        UserError: It does not.
    """
    import shutil

    there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    free = shutil.disk_usage(there).free
    if num_bytes + SPARE_BYTES > free:
        raise UserError(
            f"{folder}: {size_said(num_bytes)} are needed, but only {size_said(free)} are free there; make room, or "
            "name a folder on another disk with --folder"
        )


def size_said(num_bytes: int) -> str:
    """A number of bytes for people, in the units of publishers: 1 MB is a million bytes."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if num_bytes >= size:
            return f"{num_bytes / size:.3g} {unit}"
    return f"{num_bytes} bytes"


def digest_of(path: Path, kind: str) -> str:
    """SHA-256 of a file, or the name that git has for its content, in hexadecimal."""
    with path.open("rb") as stream:
        if kind == "sha256":
            return hashlib.file_digest(stream, "sha256").hexdigest()
        hashed = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
        while chunk := stream.read(CHUNK_BYTES):
            hashed.update(chunk)
        return hashed.hexdigest()


class _Passing(Exception):
    """The server says that it may go better later."""

    def __init__(self, message: str, wait_s: float | None) -> None:
        super().__init__(message)
        self.wait_s = wait_s


@dataclass
class _Counter:
    """Bytes as they come, shown in whole MiB."""

    bar: Progress
    num_bytes: int

    def move(self, num_bytes: int) -> None:
        """Count up, or back where the file begins anew."""
        before, self.num_bytes = self.num_bytes, self.num_bytes + num_bytes
        if steps := _mebibytes(self.num_bytes) - _mebibytes(before):
            self.bar.update(steps)


@dataclass
class _Run:
    session: "Session"
    address: Address
    path: Path
    label: str
    counter: _Counter
    is_whole: bool = False

    def go_on(self) -> None:
        """One request, for what is missing."""
        part, held = _part(self.path), _held(self.path)
        if part.identity != self.address.identity:
            part, held = Part(self.address.identity), 0
        if held and held == self.address.size_bytes:
            self.is_whole = True
            return
        asked = dict(self.address.headers) | {"Accept-Encoding": "identity"}
        if held and (self.address.is_fixed or part.validator):
            asked["Range"] = f"bytes={held}-"
            if not self.address.is_fixed and part.validator:
                asked["If-Range"] = part.validator
        elif held:
            self._say("it cannot be told whether the file is still the same")
            held = 0
        with self.session.get(self.address.url, headers=asked, stream=True, timeout=(CONNECT_S, SILENCE_S)) as answer:
            self._take(answer, part, held)

    def _take(self, answer: "Response", part: Part, held: int) -> None:
        if answer.status_code == 416:
            total = re.fullmatch(r"bytes \*/(\d+)", answer.headers.get("Content-Range", ""))
            if total and int(total[1]) == held:
                self.is_whole = True
                return
            self._say("there is more of it here than the server has")
            self._empty()
            return
        _refuse(answer)
        begins, total_bytes = _extent(answer)
        if begins not in (0, held):
            raise RouteFailed(f"sends bytes from {begins:,} on, though those from {held:,} on were asked for")
        if held and not begins:
            self._say("the server sends ranges of no file, or the file has changed")
        size = self.address.size_bytes
        if size is not None and total_bytes not in (None, size):
            raise RouteFailed(f"has {total_bytes:,} bytes, but {size:,} are published: another file")
        total_bytes = size if total_bytes is None else total_bytes
        if (total_bytes or 0) > self.address.max_bytes:
            raise RouteFailed(f"has {total_bytes:,} bytes, which is more than this file can have")
        self.counter.move(begins - self.counter.num_bytes)
        if total_bytes is not None:
            check_room(self.path.parent, total_bytes - begins)
        if not begins:
            part.validator = _validator(answer)
            part.digest = _stated_digest(answer) if self.address.is_hub else None
            self._empty()
            write_json(state_file(self.path), asdict(part))
        self._write(answer, begins)
        if total_bytes is not None and self.counter.num_bytes < total_bytes:
            raise _Passing(f"the connection ended after {self.counter.num_bytes:,} of {total_bytes:,} bytes", None)
        self.is_whole = True

    def _write(self, answer: "Response", begins: int) -> None:
        # not buffered: what has come stays after a kill
        with self.path.open("r+b", buffering=0) as stream:
            stream.truncate(begins)
            stream.seek(begins)
            for chunk in answer.iter_content(CHUNK_BYTES):
                if self.counter.num_bytes + len(chunk) > self.address.max_bytes:
                    raise RouteFailed(f"sends more than {self.address.max_bytes:,} bytes, so it is another file")
                rest = memoryview(chunk)
                while rest:
                    rest = rest[stream.write(rest) :]
                self.counter.move(len(chunk))
            os.fsync(stream.fileno())

    def _empty(self) -> None:
        self.counter.move(-self.counter.num_bytes)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(b"")

    def _say(self, why: str) -> None:
        print(f"{self.label}: {why}, so it begins anew", file=sys.stderr, flush=True)


def _refuse(answer: "Response") -> None:
    """Go on with answers that carry the file.

    Raises:
        RouteFailed: The server will not give it.
        _Passing: It may later.
    """
    code, host = answer.status_code, _host(answer)
    if code in PASSING:
        wait_s = _asked_to_wait_s(answer, lambda: datetime.now(UTC))
        if wait_s is not None and wait_s > MAX_WAIT_S:
            raise RouteFailed(f"{host} asks to wait {wait_s:.0f} s (answer {code}); run the same command again then")
        raise _Passing(f"{host} answers {code} {answer.reason}", wait_s)
    if code in (401, 403):
        raise RouteFailed(f"{host} refuses it (answer {code} {answer.reason})")
    if code not in (200, 206):
        raise RouteFailed(f"{host} does not have it (answer {code} {answer.reason})")
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise RouteFailed(f"{host} sends it compressed, though asked not to")


def _host(answer: "Response") -> str:
    from urllib.parse import urlsplit

    return urlsplit(answer.url).netloc


def _asked_to_wait_s(answer: "Response", now: Callable[[], datetime]) -> float | None:
    """What Retry-After says: seconds, or a date."""
    said = answer.headers.get("Retry-After", "").strip()
    if said.isdecimal():
        return float(said)
    try:
        return max(0.0, (email.utils.parsedate_to_datetime(said) - now()).total_seconds())
    except (TypeError, ValueError):  # no header, no date, or one without a zone
        return None


def _extent(answer: "Response") -> tuple[int, int | None]:
    """Where the bytes begin that an answer carries, and how many the whole file has, as far as that is said."""
    if answer.status_code == 206:
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", answer.headers.get("Content-Range", ""))
        if not found:
            raise RouteFailed("sends a part of the file without saying which")
        return int(found[1]), None if found[3] == "*" else int(found[3])
    said = answer.headers.get("Content-Length", "")
    return 0, int(said) if said.isdecimal() else None


def _validator(answer: "Response") -> str | None:
    """What If-Range can be asked with: a weak ETag cannot."""
    etag = answer.headers.get("ETag", "")
    return etag if re.fullmatch(r'"[\x21\x23-\x7e]*"', etag) else answer.headers.get("Last-Modified")


def _stated_digest(answer: "Response") -> str | None:
    """The ETag of the hub itself, not of the server it sends to."""
    first = (answer.history or [answer])[0].headers
    said = first.get("X-Linked-Etag") or first.get("ETag") or ""
    digest = said.removeprefix("W/").strip('"').lower()
    return digest if len(digest) in DIGESTS and re.fullmatch("[0-9a-f]+", digest) else None


def _part(path: Path) -> Part:
    try:
        known = Part(**read_json(state_file(path)))
    except (BadFile, TypeError):  # none, or cut short by a kill
        return Part("")
    is_text = all(value is None or isinstance(value, str) for value in asdict(known).values())
    return known if is_text else Part("")


def _held(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _mebibytes(num_bytes: int) -> int:
    return num_bytes // MEBIBYTE
