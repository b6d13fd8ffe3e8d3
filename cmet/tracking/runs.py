"""Runs of MLflow: every training and every evaluation becomes one that can be compared.

Runs go to `MLFLOW_TRACKING_URI`, or without it to a SQLite file in the project folder. MLflow takes seconds to
import, so it is imported where it is used.
"""

import hashlib
import json
import logging
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pandas as pd
import yaml

from cmet.environment import describe_environment
from cmet.errors import UserError
from cmet.params import Params, flatten

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow import MlflowClient


EXPERIMENT = "cmet"
POINTS_PER_BATCH = 500
"""Metric values sent to the store at once; one by one takes thirty times as long. The store takes up to 1000."""
MAX_WAIT_S = 10.0
"""Metric values are sent at least this often, so that a training can be watched."""
MAX_PARAM_LENGTH = 6000
ENVIRONMENT = "environment.json"
SYSTEM_PREFIX = "system/"
"""MLflow begins the names of system metrics so."""
NO_COMMIT = "none: this folder is no checkout of git"
"""Stands where a run would name its commit."""
RECORDED = ("dvc.lock", "params.yaml")
"""Tracked files that say nothing of the code: DVC rewrites the first in every run, the second is logged in full."""


class Run:
    """An open MLflow run: takes metrics, figures and files."""

    def __init__(self, client: "MlflowClient", run_id: str) -> None:
        """Continue a run: metrics of steps it already has are not taken a second time."""
        self.client = client
        self.run_id = run_id
        self._waiting: list[tuple[str, float, int]] = []
        self._sent_at = time.monotonic()
        self._last_step = {
            key: max(point.step for point in client.get_metric_history(run_id, key))
            for key in client.get_run(run_id).data.metrics
            if not key.startswith(SYSTEM_PREFIX)
        }

    def log_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """Take the metrics of one step; they reach the store in batches."""
        self._waiting += [
            (key, float(value), step) for key, value in metrics.items() if step > self._last_step.get(key, -1)
        ]
        if len(self._waiting) >= POINTS_PER_BATCH or time.monotonic() - self._sent_at > MAX_WAIT_S:
            self.flush()

    def flush(self) -> None:
        """Send the metrics that wait."""
        from mlflow.entities import Metric

        now_ms = int(time.time() * 1000)
        metrics = [Metric(key, value, now_ms, step) for key, value, step in self._waiting]
        for start in range(0, len(metrics), POINTS_PER_BATCH):
            self.client.log_batch(self.run_id, metrics=metrics[start : start + POINTS_PER_BATCH])
        self._waiting.clear()
        self._sent_at = time.monotonic()

    def log_file(self, path: Path, folder: str | None = None) -> None:
        """Keep a copy of a file: a page, a video, weights."""
        self.client.log_artifact(self.run_id, str(path), folder)

    def log_figure(self, figure: "Figure", name: str) -> None:
        """Keep a figure, `name` with .png or .svg."""
        self.client.log_figure(self.run_id, figure, name)

    def log_model(
        self, name: str, files: Sequence[Path], metrics: Mapping[str, float], dataset: tuple[str, str]
    ) -> None:
        """Make an entry under Models, so that trained ones are ranked by what was measured on the same rows.

        Args:
            name: Of the entry.
            files: What it consists of.
            metrics: What was measured; the run gets them, too.
            dataset: Name and digest of the rows that they were measured on.
        """
        for path in files:
            self.log_file(path, "model")
        experiment = self.client.get_run(self.run_id).info.experiment_id
        entry = self.client.create_logged_model(experiment, name=name, source_run_id=self.run_id, model_type="cmet")
        for key in sorted(metrics):
            self.client.log_metric(
                self.run_id, key, metrics[key], step=0, model_id=entry.model_id,
                dataset_name=dataset[0], dataset_digest=dataset[1],
            )  # fmt: skip
        self.client.finalize_logged_model(entry.model_id, "READY")

    def log_table(self, table: pd.DataFrame, name: str) -> None:
        """Keep a table, `name` with .json; the page of MLflow compares tables of one name across runs."""
        self.client.log_table(self.run_id, table, name)


@dataclass(frozen=True)
class About:
    """What a run is of; of two that are the same in all of it, one goes on where the other was killed."""

    name: str
    """Shown in the list of runs."""
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

    def key(self, parent: Run | None) -> str:
        """Same for two runs exactly if they would log the same numbers (and stand under the same parent)."""
        parts = [
            self.name,
            self.stage,
            self.backbone,
            self.params.model_dump_json(),
            sorted(self.inputs.items()),
            self.code,
            parent and parent.run_id,
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
    client, experiment = _open_store(about.root)
    key = about.key(parent)
    environment = describe_environment()
    tags = {
        **_provenance(about.root, about.inputs),
        **_environment_tags(environment),
        **(tags or {}),
        **({"mlflow.parentRunId": parent.run_id} if parent else {}),
        "cmet.key": key,
        "cmet.stage": about.stage,
        "cmet.backbone": about.backbone,
    }
    run = Run(
        client, _find_unfinished(client, experiment, key) or _create(client, experiment, about.name, about.params)
    )
    _set_tags(client, run.run_id, tags)
    client.update_run(run.run_id, status="RUNNING")
    status = "FAILED"
    try:
        client.log_dict(run.run_id, environment, ENVIRONMENT)
        with _sampled(run) if system_metrics else nullcontext():
            yield run
        status = "FINISHED"
    except (KeyboardInterrupt, SystemExit):
        # SIGTERM comes as the second
        status = "KILLED"
        raise
    finally:
        run.flush()
        client.set_terminated(run.run_id, status)


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
    """Id of the newest finished top-level run of a stage, for a link; None where there is none."""
    client, experiment = _open_store(root)
    query = f"tags.`cmet.stage` = '{stage}' AND tags.`cmet.backbone` = '{backbone}' AND attributes.status = 'FINISHED'"
    runs = client.search_runs([experiment], query, order_by=["attributes.start_time DESC"])
    return next((run.info.run_id for run in runs if "mlflow.parentRunId" not in run.data.tags), None)


def download_file(run_id: str, name: str, root: Path) -> Path:
    """A file that a run has logged, in the work folder of the project.

    Raises:
        UserError: There is no store, no such run, or the run has logged no such file.
    """
    store = default_store(root)
    # opening would make an empty one
    if store.startswith("sqlite") and not Path(unquote(store.partition(":///")[2])).is_file():
        raise UserError(f"{run_id}: no runs were logged in {root}; name the folder of the results instead")
    from mlflow.exceptions import MlflowException

    client, _ = _open_store(root)
    try:
        logged = {file.path for file in client.list_artifacts(run_id)}
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise UserError(f"{run_id}: no such run in {store}") from error
    if name not in logged:
        raise UserError(f"{run_id}: this run logged no {name}; runs of `cmet evaluate` do")
    folder = root / ".work" / "runs" / run_id
    folder.mkdir(parents=True, exist_ok=True)
    return Path(client.download_artifacts(run_id, name, str(folder)))


def default_store(root: Path) -> str:
    """Address of the store of a project: `MLFLOW_TRACKING_URI`, or a SQLite file in its folder."""
    # absolute: a relative one would make a new store in every folder that a command is started from
    return os.environ.get("MLFLOW_TRACKING_URI") or _own_store(root)


def _own_store(root: Path) -> str:
    path = str(root.resolve() / "mlflow.db")
    if "?" not in path and unquote(path) == path:
        return f"sqlite:///{path}"
    # with the driver in it, MLflow leaves an address alone; of others it makes folders that are called like the code
    return "sqlite+pysqlite:///" + path.replace("%", "%25").replace("?", "%3F")


def _open_store(root: Path) -> tuple["MlflowClient", str]:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    from mlflow import MlflowClient

    store = default_store(root)
    client = MlflowClient(store)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    own_artifacts = (root.resolve() / "mlruns").as_uri()
    if experiment is not None:
        if store == _own_store(root) and experiment.artifact_location != own_artifacts:
            # MLflow keeps whole addresses: what is logged here would land where the project came from
            raise UserError(
                f"{root}: mlflow.db belongs to a project elsewhere, whose files are at {experiment.artifact_location}; "
                "delete mlflow.db and mlruns to start afresh here, or set MLFLOW_TRACKING_URI to continue there"
            )
        return client, experiment.experiment_id
    # a server decides itself where artifacts lie
    artifacts = own_artifacts if store.startswith("sqlite") else None
    return client, client.create_experiment(EXPERIMENT, artifacts)


def _create(client: "MlflowClient", experiment: str, name: str, params: Params) -> str:
    from mlflow.entities import Param

    run = client.create_run(experiment, run_name=name)
    flat = flatten(params)
    client.log_batch(run.info.run_id, params=[Param(key, str(flat[key])[:MAX_PARAM_LENGTH]) for key in sorted(flat)])
    return run.info.run_id


def _find_unfinished(client: "MlflowClient", experiment: str, key: str) -> str | None:
    runs = client.search_runs(
        [experiment], f"tags.`cmet.key` = '{key}' AND attributes.status != 'FINISHED'", max_results=1
    )
    return runs[0].info.run_id if runs else None


def _provenance(root: Path, inputs: Mapping[str, str]) -> dict[str, str]:
    """Where a run comes from: inputs, what DVC calls them, git commit, the Dagster run that started it."""
    tags = {f"cmet.input.{path}": digest for path, digest in inputs.items()}
    tags |= {f"dvc.{path}": digest for path, digest in _dvc_hashes(root).items() if path in inputs}
    # a download may lie in a repository that knows nothing of it
    commit = _git(root, "rev-parse", "HEAD") if _git(root, "ls-files", "--", ".") else None
    if commit:
        tags["mlflow.source.git.commit"] = commit
        tags["cmet.git.dirty"] = "true" if _is_dirty(root) else "false"
    else:
        tags["cmet.git.commit"] = NO_COMMIT
    dagster_run = os.environ.get("DAGSTER_RUN_ID")
    if dagster_run:
        tags["dagster.run_id"] = dagster_run
    return tags


def _dvc_hashes(root: Path) -> dict[str, str]:
    """Hash that DVC has for each output of the project, by path."""
    lock = root / "dvc.lock"
    if not lock.is_file():
        return {}
    stages = (yaml.safe_load(lock.read_text(encoding="utf-8")) or {}).get("stages", {})
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", []) if "md5" in out}


def _is_dirty(root: Path) -> bool:
    """Whether tracked files differ from the commit, but for those that a run records itself."""
    others = [f":(exclude){name}" for name in RECORDED]
    # no lock: a commit made at this moment would fail
    return bool(_git(root, "--no-optional-locks", "status", "--porcelain", "--untracked-files=no", "--", ":/", *others))


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        # an unpacked archive, or a machine without git, has no commit to name
        return None
    return done.stdout.strip()


def _environment_tags(environment: Mapping[str, Any]) -> dict[str, str]:
    """What runs are searched by; the rest is in environment.json."""
    versions, torch = environment["versions"], environment["torch"] or {}
    tags = {
        "cmet.version": versions.get("cmet"),
        "cmet.torch": versions.get("torch"),
        "cmet.device": next((gpu["name"] for gpu in torch.get("gpus", [])), torch.get("device")),
    }
    return {key: value for key, value in tags.items() if value}


@contextmanager
def _sampled(run: Run) -> Iterator[None]:
    """Sample the use of the machine in a thread of MLflow during the block."""
    from mlflow.exceptions import MlflowException
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    # it tells of every start and end
    logging.getLogger("mlflow.system_metrics").setLevel(logging.WARNING)
    monitor = SystemMetricsMonitor(run.run_id, resume_logging=True, tracking_uri=run.client.tracking_uri)
    monitor.start()
    try:
        yield
    finally:
        monitor.finish()
        if monitor.mlflow_logger.previous_training_timestamp is None:
            # the run was shorter than one interval; what the thread has seen is dropped: its first look at the
            # processor is always 0
            for part in monitor.monitors:
                part.clear_metrics()
            monitor.collect_metrics()
            with suppress(MlflowException):  # no reason to fail a training
                monitor.publish_metrics(monitor.aggregate_metrics())
                monitor.mlflow_logger.flush()


def _set_tags(client: "MlflowClient", run_id: str, tags: Mapping[str, str]) -> None:
    from mlflow.entities import RunTag

    client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])
