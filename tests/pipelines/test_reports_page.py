import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from threading import Thread

from pipelines.reports_page import reports_server

ROOT = Path(__file__).parents[2]


def test_reports_are_served_to_this_machine_as_they_are_now(tmp_path: Path) -> None:
    with reports_server(0, tmp_path) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        assert server.server_address[0] == "127.0.0.1"
        for text in ("first", "second"):
            (tmp_path / "index.html").write_text(text)
            with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/index.html", timeout=10) as answer:
                assert (answer.read().decode(), answer.headers["Cache-Control"]) == (text, "no-cache")
        server.shutdown()


def test_the_page_ends_with_dagster_however_that_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # a shell that becomes another program, as `make dev` does it
    command = f"{sys.executable} -m pipelines.reports_page {port} $$ & exec sleep 60"
    with subprocess.Popen(command, shell=True, cwd=ROOT, stdout=subprocess.PIPE) as dagster:
        assert dagster.stdout is not None
        until_s = time.monotonic() + 30
        while not is_open(port):
            assert time.monotonic() < until_s
            time.sleep(0.05)
        dagster.send_signal(signal.SIGKILL)
        # the end of its output says that nobody is left who could write to it
        assert dagster.stdout.read() == b""
    assert not is_open(port)


def is_open(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0
