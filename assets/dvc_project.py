"""The DVC project behind the assets: which stages it has, and how one is reproduced.

dvc.yaml is the only place where the graph is written. A stage is always run by the `dvc` command, so the web page,
the command line and CI share one cache and one lock file. It never runs on inputs that DVC calls changed.
"""

import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from assets.dvc_state import (
    DvcStatus,
    Holder,
    StageState,
    cache_folder,
    is_code,
    look,
    process_at_work,
    read_stages,
    sources_of,
    upstream_of,
)
from cmet.errors import UserError
from cmet.project import Project
from cmet.stages.registry import STAGES

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

MADE_BY_STUDY = frozenset({"train", "edits", "timing"})
"""Stages above `evaluate` in whose place a study has its own trainings and edits."""

TAIL_LINES = 25
STOP_TIMEOUT_S = 60.0
POLL_S = 1.0
SENTENCE = "cmet: "
"""Before what the command says where something is the user's to mend."""
BUSY = "is busy, it is being blocked by"
"""What DVC says where another process of it began a stage between our look and its start."""


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
    sources: tuple[str, ...] = ()
    """What it reads and no stage writes, code left out: paths, and sections of params.yaml as `params.yaml:train`."""
    code: tuple[str, ...] = ()
    """Files and folders of the code that it reaches."""

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
        """Asset key: `clips`, `train_facemesh`."""
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

    look: DvcStatus
    """What DVC says of the stage after it, and what dvc.lock has of the others."""
    is_cached: bool
    """DVC had the outputs already, so the command did not run."""
    duration_s: float


def asset_key(name: str) -> dg.AssetKey:
    """Key of the asset that reproduces a stage: `train@facemesh` is `train_facemesh`, which is what the graph shows."""
    kind, variant = _kind_and_variant(name)
    return dg.AssetKey(kind if variant is None else re.sub(r"\W", "_", f"{kind}_{variant}"))


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

    @property
    def cache(self) -> str:
        """Where DVC keeps what it has of outputs."""
        return cache_folder(self.path)

    def stages(self) -> list[DvcStage]:
        """All stages in the order of dvc.yaml, `matrix` stages resolved. Nothing needs to have run.

        Raises:
            UserError: DVC cannot read the project.
        """
        declared = read_stages(self.path)
        return [
            DvcStage(
                name=stage.name,
                description=stage.description,
                upstream=upstream_of(stage, declared),
                outs=stage.outs,
                sources=sources_of(stage, declared),
                code=tuple(dep for dep in stage.deps if is_code(dep)),
            )
            for stage in declared
        ]

    def look(self, *names: str, above: bool = False) -> DvcStatus:
        """What DVC says of some stages, or of all; see `look`.

        Raises:
            UserError: DVC cannot read the project.
        """
        return look(self.path, names or None, above=above)

    def reproduce(self, name: str, log: logging.Logger, environment: Mapping[str, str] | None = None) -> Reproduction:
        """Bring the outputs of one stage up to date, if all that it is made of is.

        Waits while another process of DVC runs the stage, one above it, or one that reads its outputs.

        Args:
            name: As DVC calls the stage.
            log: Gets what the command prints, as it comes.
            environment: Variables for the command, beside those of this process.

        Raises:
            dagster.Failure: A parameter is wrong, a stage above is out of date, or the stage itself failed; the message
                begins with the sentence that says so.
        """
        try:
            return self._reproduce(name, log, environment or {})
        except UserError as error:
            raise dg.Failure(str(error), allow_retries=False) from None

    def wait_for_study(self, backbone: str, log: logging.Logger) -> None:
        """Return when all that a study reads is up to date: what `evaluate` stands on, but what a study makes itself.

        Waits while another process of DVC is at work there.

        Raises:
            dagster.Failure: Something of it is out of date; the message says what to materialize.
        """
        try:
            self._wait_for_inputs(f"evaluate@{backbone}", log, "the study", MADE_BY_STUDY)
        except UserError as error:
            raise dg.Failure(str(error), allow_retries=False) from None

    def _reproduce(self, name: str, log: logging.Logger, environment: Mapping[str, str]) -> Reproduction:
        if _kind_and_variant(name)[0] in STAGES:
            # the command would say the same, but DVC deletes the outputs before it runs that
            Project.at(self.path / "params.yaml")
        command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", name]
        while True:
            self._wait_for_inputs(name, log, _asset_name(name))
            started_s = time.monotonic()
            returncode, tail = _followed(command, self.path, log, environment)
            if not returncode:
                break
            if not any(BUSY in line for line in tail):
                raise dg.Failure(_failure_text(f"Stage {name}", tail, returncode), allow_retries=False)
        is_cached = any(re.match(rf"Stage '{re.escape(name)}' (didn't change|is cached)", line) for line in tail)
        return Reproduction(self.look(name), is_cached, time.monotonic() - started_s)

    def _wait_for_inputs(
        self, name: str, log: logging.Logger, reader: str, apart: frozenset[str] = frozenset()
    ) -> None:
        """Return when everything above a stage is up to date and nobody else is at work there.

        Args:
            name: As DVC calls the stage.
            log: Is told who is waited for.
            reader: What is about to read all this, as the message calls it.
            apart: Kinds of stages above that it does not read.

        Raises:
            UserError: Something above is out of date, and no process that was waited for is there to change it.
        """
        waited: list[Holder] = []
        seen: list[StageState] = []
        while True:
            # between two stages DVC holds nothing, and its next one may be the one that is out of date
            at_work = [one for one in waited if one.is_alive]
            now = self.look(name, above=True)
            own = now.states[name].declared
            outs = [out for state in now.above(name) for out in state.declared.outs]
            changed = [state for state in now.changed_above(name) if _kind_and_variant(state.name)[0] not in apart]
            other = process_at_work(self.path, [*own.deps, *outs], own.outs)
            if other is None:
                if not changed:
                    return
                other = next(iter(at_work), None)
            if other is None:
                # twice: a process may have ended, and written dvc.lock, during the look
                if changed == seen:
                    raise UserError(_first_to_materialize(reader, changed[0]))
                seen = changed
                continue
            if other not in waited:
                log.info(f"Waiting for process {other.pid}, which is at work here: {other.command}")
                waited.append(other)
            time.sleep(POLL_S)
            while process_at_work(self.path, [*own.deps, *outs], own.outs) == other:
                time.sleep(POLL_S)


def _first_to_materialize(below: str, first: StageState) -> str:
    """Why something cannot run, and what to do; `first` is the stage above it that is out of date."""
    above = _asset_name(first.name)
    if not first.has_outputs:
        return (
            f"{below} has nothing to read yet: {above} has to be made ({first.reason}). Materialize {above} and what "
            "lies between first: choose Materialize unsynced, or the job everything."
        )
    return (
        f"{below} would mix results: {above} is out of date ({first.reason}). Materialize {above} and what lies "
        "between first: choose Materialize unsynced, or the job everything."
    )


def _asset_name(name: str) -> str:
    return asset_key(name).to_user_string()


def _failure_text(what: str, tail: Iterable[str], returncode: int) -> str:
    """What something that failed has to say: the sentence of `cmet` first, where it has said one."""
    lines = [line for line in tail if line]
    said = [number for number, line in enumerate(lines) if line.startswith(SENTENCE)]
    end = next(
        (number for number, line in enumerate(lines) if line.startswith("ERROR: failed to reproduce")), len(lines)
    )
    first = lines[said[-1] : end] if said and said[-1] < end else []
    beginning = "\n".join(first).removeprefix(SENTENCE) or f"{what} failed (exit status {returncode})."
    return f"{beginning}\n\nThe last lines:\n" + "\n".join(lines)


def run_logged(
    command: list[str], root: Path, log: logging.Logger, environment: Mapping[str, str], what: str
) -> list[str]:
    """Run a command in a session of its own, all of which is interrupted when this process is.

    Args:
        command: What runs.
        root: Folder in which it runs.
        log: Gets what it prints, as it comes.
        environment: Variables for it, beside those of this process.
        what: Begins the message of a failure.

    Returns:
        The last lines that it printed.

    Raises:
        dagster.Failure: It failed; the message holds the end of what it printed.
    """
    returncode, tail = _followed(command, root, log, environment)
    if returncode:
        raise dg.Failure(_failure_text(what, tail, returncode), allow_retries=False)
    return tail


def _followed(
    command: list[str], root: Path, log: logging.Logger, environment: Mapping[str, str]
) -> tuple[int, list[str]]:
    """Exit status of a command and the last lines that it printed; the log gets all of them as they come."""
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    with _own_session(command, root, environment) as process:
        for line in _lines(process):
            log.info(line)
            tail.append(line)
    return process.returncode, list(tail)


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
