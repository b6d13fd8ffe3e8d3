"""A lab: the project in a folder of its own, small enough that every stage takes seconds, and its two servers."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError

import psutil

from cmet.project import Project
from tests.clip_maps import without_workers
from tests.small_line import run_untracked, write_small_checkout

START_S = 180.0
"""Dagster and MLflow answer after 20 seconds, and later where other tests fill the cores."""

STATES_EVERY_S = 10.0
"""Between two looks at the states of all assets, which cost Dagster half a core-second each."""


@dataclass(frozen=True)
class Lab:
    """A project under git and DVC, beside whose files nothing is shared with the one of the person who tests."""

    root: Path

    @classmethod
    def make(cls, root: Path) -> "Lab":
        """This checkout with the parameters of the small line, committed."""
        write_small_checkout(root)
        lab = cls(root)
        lab.git("init", "--quiet")
        # that of .gitignore is a folder
        (root / ".git/info/exclude").write_text(".venv\n")
        lab.git("add", "--all")
        lab.git("commit", "--quiet", "--message", "A lab")
        return lab

    def take_over(self, line: Path) -> None:
        """What the stages of a small line have left, and scores of the lab's own metrics, as `dvc repro` leaves it."""
        params = (self.root / "params.yaml").read_bytes()
        shutil.copytree(line, self.root, dirs_exist_ok=True)
        (self.root / "params.yaml").write_bytes(params)
        project = Project.at(self.root / "params.yaml")
        with without_workers():
            run_untracked("evaluate", project, "facemesh")
            run_untracked("report", project)
        self.dvc("commit", "--force")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "What came out")

    def git(self, *arguments: str) -> str:
        """What a command of git prints."""
        return self.run("git", "-c", "user.name=lab", "-c", "user.email=lab@localhost", *arguments)

    def dvc(self, *arguments: str) -> str:
        """What a command of DVC prints."""
        return self.run("dvc", "--wait-for-lock", *arguments)

    def run(self, *command: str) -> str:
        """What a command prints.

        Raises:
            AssertionError: It failed; the message is what it said.
        """
        done = subprocess.run(command, cwd=self.root, env=self.environment(), capture_output=True, text=True)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr[-3000:]}"
        return done.stdout

    def out_of_date(self) -> set[str]:
        """Stages that DVC would run for a change of their own inputs."""
        status = json.loads(self.dvc("status", "--json"))
        return {name for name in status if not name.endswith(".dvc")}

    def environment(self) -> dict[str, str]:
        """Variables of all that runs in the lab."""
        programs = str(Path(sys.executable).parent)
        return os.environ | {
            "PATH": os.pathsep.join([programs, os.environ["PATH"]]),
            "DAGSTER_HOME": str(self.root / ".dagster"),
            "DVC_NO_ANALYTICS": "1",
            # how often a page asks for the states of all assets, by itself every two seconds
            "DAGSTER_CLI_DEV_LIVE_DATA_POLL_RATE": "6000",
        }

    def replace_in_params(self, old: str, new: str) -> None:
        """Edit `params.yaml` as a person does."""
        path = self.root / "params.yaml"
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old} is not once in params.yaml"
        path.write_text(text.replace(old, new), encoding="utf-8")

    def running(self, *words: str) -> list[str]:
        """Commands that run in the lab or below it and name all these words."""
        return [command for _, command in self._processes(*words)]

    @contextmanager
    def held(self, *words: str) -> Iterator[None]:
        """Such commands stand still for the time of a block."""
        processes = [process for process, _ in self._processes(*words)]
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.resume()

    def _processes(self, *words: str) -> list[tuple[psutil.Process, str]]:
        found = []
        for process in psutil.process_iter():
            try:
                if Path(process.cwd()).is_relative_to(self.root):
                    command = " ".join(process.cmdline())
                    if all(word in command for word in words):
                        found.append((process, command))
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                # it has ended meanwhile, or is of somebody else
                continue
        return found

    @contextmanager
    def serve_dagster(self) -> Iterator["Dagster"]:
        """`make dev`, on free ports."""
        port = _free_port()
        with self._made("dev", f"REPORTS_PORT={_free_port()}", port, "/server_info") as url:
            yield Dagster(url)

    @contextmanager
    def serve_mlflow(self) -> Iterator[str]:
        """`make mlflow`, on a free port; gives its address."""
        port = _free_port()
        with self._made("mlflow", f"MLFLOW_PORT={port}", port, "/health") as url:
            yield url

    @contextmanager
    def _made(self, target: str, setting: str, port: int, probe: str) -> Iterator[str]:
        """What `make` serves; its environment is there, and not to be made."""
        command = ["make", "--old-file=setup", target, f"PORT={port}", setting]
        url, said = f"http://127.0.0.1:{port}", self.root / f".work/{target}.log"
        with (
            said.open("wb") as log,
            subprocess.Popen(
                command, cwd=self.root, env=self.environment(), stdout=log, stderr=log, start_new_session=True
            ) as process,
        ):
            try:
                wait_for(lambda: process.poll() is not None or _answers(url + probe), f"make {target}", START_S)
                assert process.poll() is None, said.read_text(errors="replace")[-3000:]
                yield url
            finally:
                _end(process)


@dataclass(frozen=True)
class Dagster:
    """A page of Dagster and the interface behind it, which looks and never acts."""

    url: str

    def ask(self, query: str, **variables: Any) -> Any:
        """The answer to a GraphQL query."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            found = json.load(answer)
        assert "errors" not in found, found["errors"]
        return found["data"]

    def runs(self) -> list[dict[str, Any]]:
        """All runs, the newest first: `id`, `status`, `steps`, and `assets` as paths with slashes."""
        found = self.ask("{ runsOrError { ... on Runs { results { id status assetSelection { path } } } } }")
        return [
            {
                "id": run["id"],
                "status": run["status"],
                "assets": {"/".join(key["path"]) for key in run["assetSelection"] or []},
            }
            for run in found["runsOrError"]["results"]
        ]

    def wait_for_end(self, timeout_s: float = 900) -> dict[str, Any]:
        """The newest run, when it has ended."""
        ended = ("SUCCESS", "FAILURE", "CANCELED")
        wait_for(lambda: self.runs()[0]["status"] in ended, "the run to end", timeout_s)
        return self.runs()[0]

    def said(self, run_id: str) -> str:
        """All that stands in the log of a run."""
        query = """query Q($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events {
            ... on MessageEvent { message }
            ... on ExecutionStepFailureEvent { error { message causes { message } } } } } } }"""
        events = self.ask(query, id=run_id)["logsForRun"]["events"]
        failures = [event["error"] for event in events if event.get("error")]
        texts = [event["message"] for event in events if event.get("message")]
        return "\n".join([*texts, *(error["message"] for error in failures)])

    def wait_for_stale(self, assets: set[str], timeout_s: float) -> None:
        """Wait until these assets, and no others, are not what their inputs would give."""
        what = f"out of date to be {assets or 'nothing'}"
        wait_for(lambda: self._are_stale(assets), what, timeout_s, STATES_EVERY_S)

    def _are_stale(self, assets: set[str]) -> bool:
        query = "{ assetNodes { isMaterializable assetKey { path } staleStatus } }"
        states = {
            "/".join(node["assetKey"]["path"]): node["staleStatus"]
            for node in self.ask(query)["assetNodes"]
            if node["isMaterializable"]
        }
        # there are none until Dagster has loaded them
        return bool(states) and {asset for asset, state in states.items() if state != "FRESH"} == assets


def wait_for(condition: Callable[[], object], what: str, timeout_s: float, every_s: float = 0.5) -> None:
    """Look again and again until something is true.

    Raises:
        TimeoutError: It did not become true.
    """
    end_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end_s:
            raise TimeoutError(f"waited {timeout_s:.0f} s for {what}")
        time.sleep(every_s)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask a server to end as Ctrl-C does, and see that nothing of its session is left."""
    members = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    _, left = psutil.wait_procs(members, timeout=20)
    for one in left:
        one.kill()
