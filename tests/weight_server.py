"""A server of files on this machine: plain addresses, and repositories as the Hugging Face hub serves them.

A large file of the hub is a redirect to another host, as there; everything can go wrong that does so out there.
"""

import hashlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
PIECE_BYTES = 1 << 14
SMALL_BYTES = 1000
"""The hub gives smaller files itself."""


@dataclass
class Served:
    """A file, and how it is served."""

    content: bytes
    etag: str | None = '"v1"'
    has_ranges: bool = True
    has_length: bool = True
    allows_head: bool = True
    stated: bytes | None = None
    """What the hub says that it is, where that is something else."""
    faults: list["Fault"] = field(default_factory=list)
    """What happens to the next GETs, one after the other."""


@dataclass(frozen=True)
class Fault:
    """An answer that is none, or only part of one."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    breaks_after: int | None = None
    """Bytes after which the connection ends."""


@dataclass(frozen=True)
class Asked:
    """A request, as the server saw it."""

    method: str
    host: str
    path: str
    begins: int
    """First byte that was asked for."""
    if_range: str | None
    authorization: str | None


@dataclass
class WeightServer:
    """What it has, and what it was asked for and sent."""

    url: str
    other_url: str
    """The same server under another name, as that of the hub's large files."""
    files: dict[str, Served] = field(default_factory=dict)
    """Plain ones by path."""
    repos: dict[str, Served | Fault] = field(default_factory=dict)
    """Of the hub: `<repo>/<file>`, spaces with `spaces/` before."""
    asked: list[Asked] = field(default_factory=list)
    num_sent: int = 0
    bytes_per_s: float | None = None
    meanwhile: Callable[[], None] | None = None
    """Called before each piece of a content is sent."""

    def gets(self, name: str) -> list[Asked]:
        """The GETs of content whose path ends so."""
        return [one for one in self.asked if one.method == "GET" and one.path.endswith(name)]


@contextmanager
def serving() -> Iterator[WeightServer]:
    """A server, as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def _answer(self) -> None:
            path = urlsplit(self.path).path
            begins = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            told = (self.headers.get("If-Range"), self.headers.get("Authorization"))
            host = self.headers.get("Host", "")
            server.asked.append(Asked(self.command, host, path, int(begins[1]) if begins else 0, *told))
            hub = re.fullmatch(r"/(.+)/resolve/([^/]+)/(.+)", path)
            if hub:
                self._hub(f"{hub[1]}/{hub[3]}", hub[2])
            elif path.startswith("/large/"):
                self._send(server.repos[path.removeprefix("/large/")])
            elif path in server.files:
                self._send(server.files[path])
            else:
                self._fail(Fault(404))

        def _hub(self, name: str, revision: str) -> None:
            served = server.repos.get(name, Fault(404, {"X-Error-Code": "EntryNotFound"}))
            if isinstance(served, Fault):
                self._fail(served)
            elif revision not in (COMMIT, "main"):
                self._fail(Fault(404, {"X-Error-Code": "RevisionNotFound"}))
            elif len(served.content) < SMALL_BYTES:
                blob = hashlib.sha1(b"blob %d\0" % len(served.content) + served.content).hexdigest()
                self._send(served, {"ETag": f'"{blob}"', "X-Repo-Commit": COMMIT})
            else:
                self.send_response(302)
                self.send_header("Location", f"{server.other_url}/large/{name}")
                self.send_header("X-Repo-Commit", COMMIT)
                self.send_header("X-Linked-Size", str(len(served.content)))
                self.send_header("X-Linked-Etag", f'"{hashlib.sha256(served.stated or served.content).hexdigest()}"')
                self.send_header("Content-Length", "0")
                self.end_headers()

        def _fail(self, fault: Fault) -> None:
            self.send_response(fault.status)
            for name, value in fault.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _send(self, served: "Served | Fault", more: dict[str, str] | None = None) -> None:
            assert isinstance(served, Served)
            if self.command == "HEAD" and not served.allows_head:
                self._fail(Fault(405))
                return
            fault = served.faults.pop(0) if served.faults and self.command == "GET" else Fault()
            if fault.status != 200:
                self._fail(fault)
                return
            begins = server.asked[-1].begins if served.has_ranges else 0
            if_range = self.headers.get("If-Range")
            if if_range is not None and if_range != served.etag:
                begins = 0
            size = len(served.content)
            if begins >= size > 0:
                self._fail(Fault(416, {"Content-Range": f"bytes */{size}"}))
                return
            self.send_response(206 if begins else 200)
            if begins:
                self.send_header("Content-Range", f"bytes {begins}-{size - 1}/{size}")
            if served.has_length:
                self.send_header("Content-Length", str(size - begins))
            else:
                self.send_header("Connection", "close")
                self.close_connection = True
            headers = {"ETag": served.etag} if served.etag else {}
            for name, value in (headers | (more or {}) | fault.headers).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self._write(served.content[begins:], fault.breaks_after)

        def _write(self, content: bytes, breaks_after: int | None) -> None:
            whole = content if breaks_after is None else content[:breaks_after]
            for start in range(0, len(whole), PIECE_BYTES):
                piece = whole[start : start + PIECE_BYTES]
                if server.meanwhile is not None:
                    server.meanwhile()
                # before: whoever has got it may look at once
                server.num_sent += len(piece)
                try:
                    self.wfile.write(piece)
                except OSError:  # who asked has been killed
                    server.num_sent -= len(piece)
                    self.close_connection = True
                    return
                if server.bytes_per_s:
                    time.sleep(len(piece) / server.bytes_per_s)
            if breaks_after is not None:
                self.close_connection = True
                with suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    port = listener.server_address[1]
    server = WeightServer(f"http://127.0.0.1:{port}", f"http://localhost:{port}")
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()
