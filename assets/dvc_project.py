"""The DVC project behind the assets: which stages it has, and how one is reproduced.

dvc.yaml is the only place where the graph is written. A stage is always run by the `dvc` command, so the web page,
the command line and CI share one cache and one lock file.
"""

import hashlib
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
import yaml

from cmet.stages.registry import STAGES, stage_digest

GROUPS = {
    "sample": "corpus",
    "manifest": "corpus",
    "clips": "corpus",
    "speech": "features",
    "directions": "features",
    "expression": "features",
    "deltas": "features",
    "shards": "features",
    "train": "model",
    "judge": "evaluation",
    "edits": "evaluation",
    "timing": "evaluation",
    "evaluate": "evaluation",
    "report": "evaluation",
}
"""Box of the graph in which a stage is drawn; each box is a job of its own, too."""

HEAVY = frozenset({"sample", "clips", "speech", "expression", "train", "judge", "edits", "timing", "evaluate"})
"""Stages that fill the machine; one of them at a time, over all runs."""

TAIL_LINES = 25
STOP_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class DvcStage:
    """One stage of dvc.yaml, or one variant of a `matrix` stage."""

    name: str
    """What DVC calls it: `clips`, `train@facemesh`."""
    description: str
    upstream: tuple[str, ...]
    """Names of the stages that write what this one reads."""
    outs: tuple[str, ...]
    """Paths relative to the project."""
    code_version: str
    """Hash of the command, of the code that the stage reaches and of its params."""

    @property
    def kind(self) -> str:
        """Name of the stage without its variant."""
        return _kind_and_variant(self.name)[0]

    @property
    def variant(self) -> str | None:
        """Backbone or encoder of a `matrix` stage."""
        return _kind_and_variant(self.name)[1]

    @property
    def arguments(self) -> tuple[str, ...]:
        """The variant as what is written per stage takes it, after the project; nothing where there is none."""
        return () if self.variant is None else (self.variant,)

    @property
    def key(self) -> dg.AssetKey:
        """Asset key: `clips`, `facemesh/train`."""
        return asset_key(self.name)

    @property
    def group(self) -> str:
        """Group of the asset."""
        return GROUPS.get(self.kind, "other")

    @property
    def pool(self) -> str | None:
        """Pool of the asset; None where it may run beside anything."""
        return "heavy" if self.kind in HEAVY else None


@dataclass(frozen=True)
class Reproduction:
    """What reproducing a stage came to."""

    version: str
    """One hash over everything the stage wrote, made of those DVC has in its lock file."""
    is_cached: bool
    """DVC had the outputs already, so the command did not run."""
    duration_s: float


def asset_key(name: str) -> dg.AssetKey:
    """Key of the asset that reproduces a stage: `train@facemesh` is `facemesh/train`.

    The graph labels a box with the last part of its key, which therefore has to be the stage.
    """
    kind, variant = _kind_and_variant(name)
    return dg.AssetKey([kind] if variant is None else [variant, kind])


def _kind_and_variant(name: str) -> tuple[str, str | None]:
    """A stage and its backbone or encoder. `sample@sample` has none: its matrix says whether it is there at all."""
    kind, _, variant = name.partition("@")
    return kind, None if variant in ("", kind) else variant


class DvcProject(dg.ConfigurableResource):
    """A folder with dvc.yaml."""

    root: str

    @property
    def path(self) -> Path:
        """The folder."""
        return Path(self.root)

    def stages(self) -> list[DvcStage]:
        """All stages in the order of dvc.yaml, `matrix` stages resolved. Nothing needs to have run."""
        declared = _read_stages(self.path)
        writers = {out: stage.name for stage in declared for out in stage.outs}
        return [
            DvcStage(
                name=stage.name,
                description=stage.description,
                upstream=_upstream(stage, writers),
                outs=stage.outs,
                code_version=_code_version(stage),
            )
            for stage in declared
        ]

    def reproduce(self, name: str, log: logging.Logger, environment: Mapping[str, str] | None = None) -> Reproduction:
        """Bring the outputs of one stage up to date; its inputs are taken as they are.

        Args:
            name: As DVC calls the stage.
            log: Gets what the command prints, as it comes.
            environment: Variables for the command, beside those of this process.

        Raises:
            dagster.Failure: The stage failed; the message holds the end of what it printed.
        """
        started_s = time.monotonic()
        command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", name]
        tail: deque[str] = deque(maxlen=TAIL_LINES)
        with _own_session(command, self.path, environment or {}) as process:
            for line in _lines(process):
                log.info(line)
                tail.append(line)
        if process.returncode:
            raise dg.Failure(
                f"Stage {name} failed (dvc ended with {process.returncode}).\n" + "\n".join(tail), allow_retries=False
            )
        is_cached = any(re.match(rf"Stage '{re.escape(name)}' (didn't change|is cached)", line) for line in tail)
        return Reproduction(self._version(name), is_cached, time.monotonic() - started_s)

    def _version(self, name: str) -> str:
        lock = yaml.safe_load((self.path / "dvc.lock").read_text(encoding="utf-8"))
        hashes = {out["path"]: out["md5"] for out in lock["stages"][name].get("outs", [])}
        return hashlib.md5(json.dumps(hashes, sort_keys=True).encode(), usedforsecurity=False).hexdigest()


class _Declared(NamedTuple):
    """A stage as DVC resolved it; paths are relative to the project."""

    name: str
    description: str
    command: str
    deps: tuple[str, ...]
    outs: tuple[str, ...]
    params: dict[str, dict[str, Any]]
    """Values by file and key."""


def _read_stages(root: Path) -> list[_Declared]:
    """Let DVC resolve dvc.yaml. No other function uses DVC as a library: little of it is a public interface."""
    from dvc.dependency import ParamsDependency
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        stages = [stage for stage in repo.index.stages if stage.path_in_repo == "dvc.yaml"]
        return [
            _Declared(
                name=stage.name,
                description=stage.desc or "",
                command=str(stage.cmd),
                deps=tuple(dep.def_path for dep in stage.deps if not isinstance(dep, ParamsDependency)),
                outs=tuple(out.def_path for out in stage.outs),
                params={dep.def_path: dep.read_params() for dep in stage.deps if isinstance(dep, ParamsDependency)},
            )
            for stage in stages
        ]


def _upstream(stage: _Declared, writers: Mapping[str, str]) -> tuple[str, ...]:
    """Stages whose outputs lie in, over or at what a stage reads; sorted."""
    return tuple(
        sorted({writer for dep in stage.deps for out, writer in writers.items() if _overlap(Path(dep), Path(out))})
    )


def _overlap(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)


def _code_version(stage: _Declared) -> str:
    """Weights and data are DVC's to watch, and so is the code of a stage that is none of `cmet`."""
    kind, variant = _kind_and_variant(stage.name)
    digest = hashlib.sha256(stage.command.encode())
    digest.update(json.dumps(stage.params, sort_keys=True, default=str).encode())
    if kind in STAGES:
        digest.update(stage_digest(kind, variant).encode())
    return digest.hexdigest()[:16]


@contextmanager
def _own_session(command: list[str], root: Path, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own; when the block is left early, all of the session is interrupted.

    DVC ignores an interruption that reaches it alone until the command ends, and killing it alone leaves the
    command running.
    """
    programs = str(Path(sys.executable).parent)
    environment = {
        **os.environ,
        # the folder of this Python first: `cmet` is found where the environment was not activated
        "PATH": os.pathsep.join([programs, os.environ.get("PATH", os.defpath)]),
        "DVC_NO_ANALYTICS": "1",
        "PYTHONUNBUFFERED": "1",
        **environment,
    }
    with subprocess.Popen(
        command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    ) as process:
        try:
            yield process
            process.wait()
        finally:
            if process.poll() is None:
                _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.communicate(timeout=STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _lines(process: subprocess.Popen[bytes]) -> Iterator[str]:
    """What a process prints, line by line; of a line that was rewritten, as progress bars do, what it was at last."""
    assert process.stdout is not None
    for line in process.stdout:
        text = line.decode("utf-8", errors="replace").rstrip().rpartition("\r")[2]
        if text:
            yield text
