"""Runs of MLflow: every training and every evaluation becomes one that can be compared.

Runs go to `MLFLOW_TRACKING_URI`, or without it to a SQLite file in the project folder. MLflow takes seconds to
import, so it is imported where it is used. Where the store does not answer, the sentence comes before the work begins;
once a run is open, an outage costs nothing: what is logged waits on disk (`outbox`).
"""

import hashlib
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path, PurePosixPath
from threading import Event, RLock, Thread
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from cmet.connector.product import Model
from cmet.environment import describe_environment
from cmet.errors import UserError
from cmet.experiments import SAMPLE, Deviation, deviation
from cmet.params import Params, flatten
from cmet.tracking.front import run_page, show_runs_first
from cmet.tracking.models import model_name, models_with
from cmet.tracking.origin import EXPERIMENT_TAG, Origin, environment_tags
from cmet.tracking.outbox import POINTS_PER_BATCH, Message, Opening, Outbox, begin, last_steps, send, send_unsent
from cmet.tracking.store import Store, StoreAway, asked, has_store, open_store
from cmet.tracking.store import default_store as default_store

if TYPE_CHECKING:
    from matplotlib.figure import Figure


Answer = TypeVar("Answer")

MAX_WAIT_S = 10.0
"""Metric values are sent at least this often, so that a training can be watched."""
MAX_PARAM_LENGTH = 6000
SYSTEM_PREFIX = "system/"
"""MLflow begins the names of system metrics so."""
ENVIRONMENT = "environment.json"
STAGES_WITH_RUNS = ("train", "evaluate")
MAX_CHANGES = 3
"""Changes of parameters that the name of a run says."""


class Run:
    """An open MLflow run: takes metrics, figures and files. While the store is away, they wait on disk."""

    def __init__(self, store: Store, root: Path, opening: Opening) -> None:
        """Open a run, or continue one: metrics of steps it already has are not taken a second time.

        Args:
            store: Where it is kept.
            root: The project folder, in which what cannot be sent waits.
            opening: What it begins with.
        """
        self.store = store
        self.client = store.client
        self.key = opening.key
        self._outbox = Outbox.new(root, opening.key)
        # the use of the machine is logged by another thread
        self._lock = RLock()
        self._waiting: list[tuple[str, float, int]] = []
        self._sent_at = time.monotonic()
        self._last_step: dict[str, int] = {}
        self._opening = opening
        self._is_refused = False
        try:
            self._opening = replace(opening, run_id=store.ask(lambda: begin(store, opening)))
            self._last_step = store.ask(lambda: last_steps(store.client, self.run_id))
        except StoreAway:
            self._outbox.hold(self._opening)

    @property
    def run_id(self) -> str:
        """Its id in the store; empty as long as that was away since the run began."""
        return self._opening.run_id

    def next_step(self, prefix: str) -> int:
        """The step after the last one of the metrics whose names begin so."""
        return 1 + max((step for key, step in self._last_step.items() if key.startswith(prefix)), default=-1)

    def log_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """Take the metrics of one step; they reach the store in batches."""
        with self._lock:
            self._waiting += [
                (key, float(value), step) for key, value in metrics.items() if step > self._last_step.get(key, -1)
            ]
            if len(self._waiting) >= POINTS_PER_BATCH or time.monotonic() - self._sent_at > MAX_WAIT_S:
                self.flush()

    def flush(self) -> None:
        """Send the metrics that wait."""
        now_ms = int(time.time() * 1000)
        with self._lock:
            points = [(key, value, now_ms, step) for key, value, step in self._waiting]
            self._waiting.clear()
            self._sent_at = time.monotonic()
            if points:
                self._tell("metrics", {"points": points})

    def log_file(self, path: Path, folder: str | None = None) -> None:
        """Keep a copy of a file: a page, a video, weights."""
        self._tell("files", {"folder": folder}, [path])

    def log_figure(self, figure: "Figure", name: str) -> None:
        """Keep a figure, `name` with .png or .svg."""
        folder = PurePosixPath(name).parent.as_posix()
        with tempfile.TemporaryDirectory() as made:
            path = Path(made) / PurePosixPath(name).name
            figure.savefig(path)
            self.log_file(path, None if folder == "." else folder)

    def log_model(self, model: Path) -> None:
        """Keep a trained model, so that it can be registered, loaded by MLflow and edited with.

        Args:
            model: Its folder.

        Raises:
            UserError: It is damaged.
        """
        self._log_packed(Model(model), is_found=False)

    def log_scores(self, model: Path, metrics: Mapping[str, float], dataset: tuple[str, str]) -> None:
        """Attach what was measured to the logged model of a training, so that models of the same rows are ranked.

        A model that is not in the store yet (another store has its training) is logged first.

        Args:
            model: Folder of the model.
            metrics: What was measured; the run gets them, too.
            dataset: Name and digest of the rows that they were measured on.

        Raises:
            UserError: The model is damaged.
        """
        measured = Model(model)
        name, sha256 = model_name(measured.config.backbone), measured.sha256
        try:
            is_known = bool(self.store.ask(lambda: models_with(self.client, self.store.experiment, name, sha256)))
        except StoreAway:
            is_known = False
        if not is_known:
            self._log_packed(measured, is_found=True)
        self._tell("scores", {"name": name, "sha256": sha256, "metrics": dict(metrics), "dataset": dataset})

    def _log_packed(self, model: Model, is_found: bool) -> None:
        """Log a model; one that was found and not trained here only where the store does not have it."""
        # torch takes seconds to import
        from cmet.tracking.packing import packed_model

        with packed_model(model) as packed:
            values = {
                "name": packed.name,
                "sha256": packed.sha256,
                "card": packed.card,
                "params": packed.params,
                "step": model.config.step,
                "is_found": is_found,
            }
            self._tell("model", values, [packed.folder])

    def log_table(self, table: pd.DataFrame, name: str) -> None:
        """Keep a table, `name` with .json; the page of MLflow compares tables of one name across runs."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "table.parquet"
            table.to_parquet(path)
            self._tell("table", {"name": name}, [path])

    def log_json(self, value: Any, name: str) -> None:
        """Keep plain values as a file."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_text(json.dumps(value, indent=2), encoding="utf-8")
            self.log_file(path)

    def end(self, status: str) -> None:
        """Close the run: nothing more comes."""
        self.flush()
        if self._opening.parent is None:
            # the last chance to send it all
            self.store.hurry()
        self._tell("end", {"status": status, "at_ms": int(time.time() * 1000)})
        self._outbox.close()

    def _tell(self, kind: str, values: Mapping[str, Any], files: Sequence[Path] = ()) -> None:
        """Send a message after those that wait, or let it wait as well."""
        message = Message(kind, values, files)
        with self._lock:
            if not self._send(message):
                self._outbox.hold(self._opening)
                self._outbox.add(message)

    def _send(self, message: Message) -> bool:
        """Send a message after those that wait; whether the store has taken it."""
        from mlflow.exceptions import MlflowException

        if self._is_refused:
            return False
        try:
            if not self._outbox.is_empty:
                self._opening = replace(self._opening, run_id=self._outbox.send(self.store))
            self.store.ask(lambda: send(self.store, self.run_id, message))
        except StoreAway:
            return False
        except MlflowException as error:
            # the run was deleted there, or the server has come back without its runs: no reason to lose the work
            self._is_refused = True
            first = str(error).splitlines()[0]
            print(
                f"cmet: MLflow does not take what {self._opening.name} logs: {first}; the work goes on", file=sys.stderr
            )
            return False
        return True


@dataclass(frozen=True)
class About:
    """What a run is of; of two that are the same in all of it, one goes on where the other was killed."""

    name: str
    """Shown in the list of runs, for a stage of the project followed by what is special in its parameters."""
    stage: str
    """The stage that works."""
    backbone: str
    """The backbone it works for."""
    params: Params
    """Logged flat, with dots."""
    inputs: Mapping[str, str]
    """Hash of each input, by its path in the project, for example `data/shards/facemesh`."""
    code: str
    """Digest of the code that works (`cmet.closure`)."""
    root: Path
    """The project folder; the store lies there unless `MLFLOW_TRACKING_URI` names another."""

    @property
    def step(self) -> str:
        """The stage as DVC calls it; a study, which DVC does not know, by its command."""
        return f"{self.stage}@{self.backbone}"

    def key(self, parent: Run | None) -> str:
        """Same for two runs exactly if they would log the same numbers (and stand under the same parent)."""
        parts = [
            self.name,
            self.stage,
            self.backbone,
            self.params.model_dump_json(),
            sorted(self.inputs.items()),
            self.code,
            parent and (parent.run_id or parent.key),
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


@contextmanager
def tracked_run(
    about: About, parent: Run | None = None, tags: Mapping[str, str] | None = None, system_metrics: bool = False
) -> Iterator[Run]:
    """An MLflow run for the length of the block: finished at its end, failed when the block raises.

    A run about the same that did not finish (a killed or failed training) is continued. Every run says what it was
    computed on, in its tags and in environment.json; a continued one says it of its last part.

    Args:
        about: What the run is of.
        parent: The run under which this one is shown; that of `runs_below` by default.
        tags: More tags.
        system_metrics: Sample the use of processor, memory, disk, network and GPUs (where `nvidia-ml-py` is installed)
            every ten seconds, and at least once.
    """
    outer = _OUTER.get()
    if outer is not None:
        parent, tags = parent or outer[0], {**outer[1], **(tags or {})}
    store = open_store(about.root)
    if parent is None:
        with suppress(StoreAway):
            store.ask(lambda: show_runs_first(store.client, store.experiment))
    send_unsent(store, about.root)
    environment, origin = describe_environment(), Origin(about.root)
    special = deviation(about.params, about.backbone, about.root)
    key = about.key(parent)
    tags = {
        **origin.tags(about.inputs),
        **environment_tags(environment),
        **_params_tags(about.params, special),
        **(tags or {}),
        "cmet.key": key,
        "cmet.stage": about.stage,
        "cmet.backbone": about.backbone,
        "mlflow.source.name": about.step,
        "mlflow.source.type": "LOCAL",
    }
    params = {name: str(value)[:MAX_PARAM_LENGTH] for name, value in flatten(about.params).items()}
    opening = Opening(
        store.address,
        key,
        _name(about, special, origin, is_of_study=outer is not None),
        params,
        tags,
        parent.key if parent else None,
        parent.run_id if parent else "",
        datasets=origin.datasets(about.inputs),
        note=_note(about, special, origin),
    )
    run = Run(store, about.root, opening)
    status = "FAILED"
    try:
        run.log_json(environment, ENVIRONMENT)
        with _sampled(run) if system_metrics else nullcontext():
            yield run
        status = "FINISHED"
    except (KeyboardInterrupt, SystemExit):
        # SIGTERM comes as the second
        status = "KILLED"
        raise
    finally:
        run.end(status)
        if parent is None and run.run_id:
            print(f"MLflow: {run_page(store.address, store.experiment, run.run_id)}", file=sys.stderr)


def _params_tags(params: Params, special: Deviation | None) -> dict[str, str]:
    """Columns by which people compare."""
    tags = {"cmet.seed": str(params.seed), "cmet.held_out": params.held_out_emotion or "none"}
    return tags if special is None else {**tags, "cmet.base": special.base, "cmet.differs": str(special)}


def _name(about: About, special: Deviation | None, origin: Origin, is_of_study: bool) -> str:
    """A name that tells a run from others; a study calls its variants by names of its own."""
    if is_of_study or about.stage not in STAGES_WITH_RUNS or special is None:
        return about.name
    parts = [about.name, "" if special.base == SAMPLE else special.base, special.said(MAX_CHANGES)]
    return " ".join([*filter(None, parts), *([f"({origin.experiment})"] if origin.experiment else [])])


def _note(about: About, special: Deviation | None, origin: Origin) -> str:
    """What the page of a run begins with."""
    lines = [f"Stage `{about.step}`", *origin.links()]
    if special is not None:
        lines.append(f"As `{special.base}`" + (f", but {special}" if special.changes else ""))
    return "\n".join(f"- {line}" for line in lines)


@contextmanager
def runs_below(parent: Run, tags: Mapping[str, str]) -> Iterator[None]:
    """Show the runs that stages open in the block under another run, with its tags.

    A stage that works for a fold is then not taken for the same stage of the project (`find_run`).
    """
    token = _OUTER.set((parent, tags))
    try:
        yield
    finally:
        _OUTER.reset(token)


_OUTER: ContextVar[tuple[Run, Mapping[str, str]] | None] = ContextVar("outer run", default=None)


def find_run(stage: str, backbone: str, root: Path) -> str | None:
    """Id of the newest finished top-level run of a stage, for a link; None where there is none.

    In an experiment of DVC it is one of that experiment, elsewhere one of none.

    Raises:
        UserError: The store does not answer.
    """
    store = open_store(root)
    query = f"tags.`cmet.stage` = '{stage}' AND tags.`cmet.backbone` = '{backbone}' AND attributes.status = 'FINISHED'"
    runs = asked(
        store,
        lambda: store.client.search_runs([store.experiment], query, order_by=["attributes.start_time DESC"]),
    )
    experiment = os.environ.get("DVC_EXP_NAME")
    for run in runs:
        tags = run.data.tags
        if "mlflow.parentRunId" not in tags and tags.get(EXPERIMENT_TAG) == experiment:
            return str(run.info.run_id)
    return None


def find_run_page(stage: str, backbone: str, root: Path) -> str | None:
    """Address of the page of that run; None where there is none.

    Raises:
        UserError: The store does not answer.
    """
    run_id, store = find_run(stage, backbone, root), open_store(root)
    return run_page(store.address, store.experiment, run_id) if run_id else None


def download_file(run_id: str, name: str, root: Path) -> Path:
    """A file that a run has logged, in the work folder of the project.

    Raises:
        UserError: There is no store, it does not answer, it has no such run, or the run has logged no such file.
    """
    if not has_store(root):
        raise UserError(f"{run_id}: no runs were logged in {root}; name the folder of the results instead")
    from mlflow.exceptions import MlflowException

    store = open_store(root)
    try:
        logged = {file.path for file in asked(store, lambda: store.client.list_artifacts(run_id))}
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise UserError(f"{run_id}: no such run in {store.address}") from error
    if name not in logged:
        raise UserError(f"{run_id}: this run logged no {name}; runs of `cmet evaluate` do")
    folder = root / ".work" / "runs" / run_id
    folder.mkdir(parents=True, exist_ok=True)
    return Path(asked(store, lambda: store.client.download_artifacts(run_id, name, str(folder))))


@contextmanager
def _sampled(run: Run) -> Iterator[None]:
    """Sample the use of the machine in a thread during the block, at least once."""
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    # it tells of every start and of GPUs that are not there
    logging.getLogger("mlflow.system_metrics").setLevel(logging.WARNING)
    # MLflow's own thread ends for good when the store does not answer, so only what it measures by is taken
    monitor = SystemMetricsMonitor(run.run_id, tracking_uri=run.client.tracking_uri)
    steps, ended = count(run.next_step(SYSTEM_PREFIX)), Event()

    def sample() -> None:
        monitor.collect_metrics()
        values = monitor.aggregate_metrics()
        for part in monitor.monitors:
            part.clear_metrics()
        if values:
            run.log_metrics(next(steps), {f"{SYSTEM_PREFIX}{name}": value for name, value in values.items()})

    def watch() -> None:
        while not ended.wait(monitor.sampling_interval):
            sample()

    # the first look at a processor is always 0
    monitor.collect_metrics()
    for part in monitor.monitors:
        part.clear_metrics()
    thread = Thread(target=watch, name="system metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        sample()
