"""Nodes of a Ray cluster on this machine, each with folders of its own, as on machines that share a project alone."""

import atexit
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import psutil

LIMIT_S = 180


@cache
def ray_settings() -> dict[str, str]:
    """What this process and those that it starts have to have in their environment before they import Ray."""
    folder = Path(tempfile.mkdtemp(prefix="ray-token-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    token = folder / "token"
    token.write_text(secrets.token_hex(32))
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
        # or else it kills workers where others on this machine take all memory
        "RAY_memory_monitor_refresh_ms": "0",
    }


@dataclass
class RayNodes:
    """A head and more nodes, started by the commands of docs/cluster.md."""

    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="ray-")))
    """Short: the paths of sockets are, too."""
    port: int = field(default_factory=lambda: _free_port())
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        """What RAY_ADDRESS is set to."""
        return f"127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What every process of the cluster needs to be let in."""
        return ray_settings()

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        """Start a node with one core; the first is the head."""
        return self._start(not self.processes, *options)

    def start_head_anew(self) -> None:
        """Start another head where the first one was, which is gone; come back when it can be connected with."""
        self.lose(self.processes[0])
        self._start(is_head=True)
        self.wait_until_ready()

    def _start(self, is_head: bool, *options: str) -> subprocess.Popen[bytes]:
        own = self.folder / str(len(self.processes))
        for name in ("tmp", "cwd"):
            (own / name).mkdir(parents=True)
        if is_head:
            # the monitor would ask a cloud for more machines
            options = ("--head", f"--port={self.port}", "--include-dashboard=false", "--no-monitor", *options)
        else:
            options = (f"--address={self.address}", *options)
        command = [Path(sys.executable).with_name("ray"), "start", "--block", "--num-cpus=1"]
        command += [f"--temp-dir={own / 'tmp'}", f"--object-store-memory={80 << 20}", *options]
        # it looks at all logs several times a second, to pass them on to nobody
        command.append("--include-log-monitor=false")
        environment = os.environ | self.environment | {"TMPDIR": str(own / "tmp")}
        environment.pop("RAY_ADDRESS", None)
        with (own / "log").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=own / "cwd", env=environment, stdout=log, stderr=log, start_new_session=True
            )
        self.processes.append(process)
        return process

    def start_two(self) -> None:
        """Start a head and another node, and come back when a process can connect with them."""
        self.start()
        self._wait(self._listens)
        self.start()
        self.wait_until_ready()

    @property
    def num_running(self) -> int:
        """How many of the nodes are still there."""
        return sum(process.poll() is None for process in self.processes)

    def join(self, *options: str) -> None:
        """Start a node, and come back when it is one of the cluster's."""
        self.start(*options)
        self.wait_until_ready()

    def raylet(self, node: subprocess.Popen[bytes]) -> int:
        """The process of Ray that runs a node."""
        return self._part(node, "raylet/raylet")

    def gcs(self) -> int:
        """The process of Ray that knows the cluster, on its head."""
        return self._part(self.processes[0], "gcs/gcs_server")

    def _part(self, node: subprocess.Popen[bytes], program: str) -> int:
        (found,) = (child.pid for child in psutil.Process(node.pid).children() if child.exe().endswith(program))
        return found

    def lose(self, node: subprocess.Popen[bytes]) -> None:
        """Let a node be gone at once, as a machine that has lost its power."""
        if node.poll() is None:
            for process in [psutil.Process(node.pid), *psutil.Process(node.pid).children(recursive=True)]:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        node.wait()

    def said(self) -> str:
        """What the nodes have printed."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*/log")))

    def stop(self) -> None:
        """End all of it, and delete the folders."""
        for process in self.processes[::-1]:
            process.terminate()
        for process in self.processes[::-1]:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                self.lose(process)
        shutil.rmtree(self.folder, ignore_errors=True)

    def wait_until_ready(self) -> None:
        """Come back when all nodes that were started belong to the cluster."""
        self._wait(lambda: self.said().count("Ray runtime started") == len(self.processes))

    def _listens(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def _wait(self, is_true: Callable[[], bool]) -> None:
        end = time.monotonic() + LIMIT_S
        while not is_true():
            assert time.monotonic() < end and self.processes[-1].poll() is None, self.said()
            time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port
