"""A real server with the interface of S3 on this machine, and one in front of it that breaks connections."""

import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from cmet.objects.store import store_at

SETTINGS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    # the client's own tries are not what is tested, and wait for long
    "AWS_MAX_ATTEMPTS": "1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(frozen=True)
class Bucket:
    """A bucket of its own on the server."""

    name: str
    endpoint: str
    client: Any

    @property
    def address(self) -> str:
        return f"s3://{self.name}"

    def put(self, name: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=name, Body=content)

    def remove(self, name: str) -> None:
        self.client.delete_object(Bucket=self.name, Key=name)

    def put_tree(self, root: Path, prefix: str = "") -> None:
        """All files of a folder."""
        for path in sorted(root.rglob("*")):
            if path.is_file():
                self.put(f"{prefix}{path.relative_to(root).as_posix()}", path.read_bytes())


@contextmanager
def serving_objects() -> Iterator[str]:
    """The endpoint of a server during the block; the environment leads there."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    with pytest.MonkeyPatch.context() as patch:
        for variable in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(variable)
        for variable, value in {**SETTINGS, "AWS_ENDPOINT_URL": endpoint}.items():
            patch.setenv(variable, value)
        try:
            yield endpoint
        finally:
            server.stop()


@cache
def _client(endpoint: str) -> Any:
    import boto3

    return boto3.client("s3", endpoint_url=endpoint)


def new_bucket(endpoint: str, name: str) -> Bucket:
    """An empty one."""
    client = _client(endpoint)
    client.create_bucket(Bucket=name)
    return Bucket(name, endpoint, client)


def forget_clients() -> None:
    """The next one begins anew, with what the environment says then."""
    from s3fs import S3FileSystem

    S3FileSystem.clear_instance_cache()
    store_at.cache_clear()


@dataclass
class Breaking:
    """A server that passes everything on to another one, and breaks its first connections."""

    target: tuple[str, int]
    num_bytes: list[int]
    """After how many bytes of the answer each of the first connections breaks."""
    num_broken: int = 0
    _listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    @property
    def endpoint(self) -> str:
        return "http://{}:{}".format(*self._listener.getsockname())

    @contextmanager
    def at_work(self) -> Iterator["Breaking"]:
        threading.Thread(target=self._serve, daemon=True).start()
        try:
            yield self
        finally:
            self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):  # closed
            while True:
                theirs, _ = self._listener.accept()
                limit = self.num_bytes.pop(0) if self.num_bytes else None
                threading.Thread(target=self._pass_on, args=(theirs, limit), daemon=True).start()

    def _pass_on(self, theirs: socket.socket, limit: int | None) -> None:
        with theirs, socket.create_connection(self.target) as ours, suppress(OSError):
            threading.Thread(target=_pour, args=(theirs, ours), daemon=True).start()
            left = limit
            while (left is None or left > 0) and (part := ours.recv(left or 1 << 16)):
                theirs.sendall(part)
                left = None if left is None else left - len(part)
            self.num_broken += left == 0
            for one in (theirs, ours):
                one.shutdown(socket.SHUT_RDWR)


def _pour(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while part := source.recv(1 << 16):
            target.sendall(part)
