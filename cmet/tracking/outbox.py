"""What could not be logged because the store was away: it waits on disk and is sent later.

Every run has a folder below `.work/unsent`, with its opening and then one message after the other. The run itself sends
them when the store answers again, or the next run of the project does.
"""

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from filelock import FileLock, Timeout

from cmet.outputs import fresh_folder, write_json
from cmet.places import WORK
from cmet.tracking.models import send_model, send_scores
from cmet.tracking.store import Store, StoreAway

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput

UNSENT = "unsent"
OPENING = "run.json"
POINTS_PER_BATCH = 500
"""Metric values sent to the store at once; one by one takes thirty times as long. The store takes up to 1000."""


@dataclass(frozen=True)
class Opening:
    """What a run begins with."""

    store: str
    """Address of the store it belongs to."""
    key: str
    """Of two runs with the same one, the second goes on with the first, unless that is finished."""
    name: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    parent: str | None
    """Key of the run under which it is shown."""
    parent_id: str = ""
    """The id of that one, empty if the store had not made it yet."""
    run_id: str = ""
    """Empty as long as the store has not made it."""
    datasets: Sequence[Mapping[str, str]] = ()
    """What it works on, see `Origin.datasets`."""
    note: str = ""
    """Markdown that its page begins with; a run that goes on keeps what people have written there."""


@dataclass(frozen=True)
class Message:
    """One thing to log."""

    kind: str
    """One of `SENDERS`."""
    values: Mapping[str, Any]
    files: Sequence[Path] = ()


def begin(store: Store, opening: Opening) -> str:
    """Continue the run of this key that did not finish, or make one; its id."""
    from mlflow.entities import Param, RunTag

    client = store.client
    found = _runs_of(store, opening.key, "AND attributes.status != 'FINISHED'")
    tags = dict(opening.tags)
    if opening.parent and (above := opening.parent_id or next(iter(_runs_of(store, opening.parent)), "")):
        tags["mlflow.parentRunId"] = above
    if found:
        run_id = found[0]
    else:
        # the key first: a run that the store has made, though its answer was lost, is found by it
        made = client.create_run(store.experiment, tags={"cmet.key": opening.key}, run_name=opening.name)
        run_id = made.info.run_id
        client.log_batch(run_id, params=[Param(key, opening.params[key]) for key in sorted(opening.params)])
        tags["mlflow.note.content"] = opening.note
    client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])
    if opening.datasets:
        client.log_inputs(run_id, [_dataset(described, opening.tags["cmet.stage"]) for described in opening.datasets])
    client.update_run(run_id, status="RUNNING")
    return run_id


def _dataset(described: Mapping[str, str], stage: str) -> "DatasetInput":
    from mlflow.entities import Dataset, DatasetInput, InputTag

    source = {key: described[key] for key in ("path", "repo", "rev")}
    dataset = Dataset(described["name"], described["digest"], "dvc", json.dumps(source))
    return DatasetInput(dataset, [InputTag("mlflow.data.context", stage)])


def _runs_of(store: Store, key: str, further: str = "") -> list[str]:
    found = store.client.search_runs([store.experiment], f"tags.`cmet.key` = '{key}' {further}", max_results=1)
    return [run.info.run_id for run in found]


def last_steps(client: "MlflowClient", run_id: str) -> dict[str, int]:
    """The last step that a run has of each metric."""
    return {
        key: max(point.step for point in client.get_metric_history(run_id, key))
        for key in client.get_run(run_id).data.metrics
    }


def send(store: Store, run_id: str, message: Message) -> None:
    """Log one thing."""
    SENDERS[message.kind](store.client, run_id, message)


def _send_metrics(client: "MlflowClient", run_id: str, message: Message) -> None:
    from mlflow.entities import Metric

    metrics = [Metric(*point) for point in message.values["points"]]
    for start in range(0, len(metrics), POINTS_PER_BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + POINTS_PER_BATCH])


def _send_files(client: "MlflowClient", run_id: str, message: Message) -> None:
    for path in message.files:
        client.log_artifact(run_id, str(path), message.values["folder"])


def _send_table(client: "MlflowClient", run_id: str, message: Message) -> None:
    [path] = message.files
    client.log_table(run_id, pd.read_parquet(path), message.values["name"])


def _send_end(client: "MlflowClient", run_id: str, message: Message) -> None:
    client.set_terminated(run_id, message.values["status"], message.values["at_ms"])


SENDERS: dict[str, Callable[["MlflowClient", str, Message], None]] = {
    "metrics": _send_metrics,
    "files": _send_files,
    "table": _send_table,
    "model": send_model,
    "scores": send_scores,
    "end": _send_end,
}


class Outbox:
    """What waits of one run. While something does, no other process sends it."""

    def __init__(self, folder: Path) -> None:
        """An outbox in a folder that is there only while something waits."""
        self.folder = folder
        self._lock = FileLock(folder.with_name(f"{folder.name}.lock"))

    @classmethod
    def new(cls, root: Path, key: str) -> "Outbox":
        """One for a run that begins now; runs are sent in the order of their beginning."""
        return cls(root / WORK / UNSENT / f"{time.time_ns()}-{key}")

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self.folder.exists()

    def hold(self, opening: Opening) -> None:
        """Let the run itself wait, or what it says be added."""
        if self.is_empty:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
            # there with its opening or not at all
            with fresh_folder(self.folder) as folder:
                write_json(folder / OPENING, opening)

    def add(self, message: Message) -> None:
        """Let a message wait behind the others; of its files there are copies."""
        number = max((int(path.name) for path in self._messages()), default=0) + 1
        unfinished = self.folder / ".unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        (unfinished / "files").mkdir(parents=True)
        for path in message.files:
            copy = shutil.copytree if path.is_dir() else shutil.copy
            copy(path, unfinished / "files" / path.name)
        names = [path.name for path in message.files]
        write_json(unfinished / "message.json", {**asdict(message), "files": names})
        unfinished.rename(self.folder / f"{number:06d}")

    def send(self, store: Store) -> str:
        """Send all that waits, and be empty; the id of the run.

        Raises:
            StoreAway: The store is away; what it has not taken still waits.
        """
        opening = Opening(**json.loads((self.folder / OPENING).read_text(encoding="utf-8")))
        if not opening.run_id:
            opening = replace(opening, run_id=store.ask(lambda: begin(store, opening)))
            write_json(self.folder / OPENING, opening)
        run_id = opening.run_id
        known = store.ask(lambda: last_steps(store.client, run_id))
        for folder in self._messages():
            message = _read(folder)
            if message.kind == "metrics":
                # a process that was killed may have sent them and not noted it
                new = [point for point in message.values["points"] if point[3] > known.get(point[0], -1)]
                message = replace(message, values={"points": new})
            store.ask(lambda message=message: send(store, run_id, message))  # type: ignore[misc]
            shutil.rmtree(folder)
        shutil.rmtree(self.folder)
        self.close()
        return run_id

    def close(self) -> None:
        """Let others send what still waits."""
        if self._lock.is_locked:
            self._lock.release()
            if self.is_empty:
                Path(self._lock.lock_file).unlink(missing_ok=True)

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """A block in which no other process sends; whether it may send itself."""
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        try:
            yield not self.is_empty
        finally:
            self.close()

    def _messages(self) -> list[Path]:
        return sorted(path for path in self.folder.iterdir() if path.name.isdigit())


def send_unsent(store: Store, root: Path) -> None:
    """Send what earlier runs of a project could not; while the store is away, all still waits."""
    from mlflow.exceptions import MlflowException

    for folder in sorted(path for path in (root / WORK / UNSENT).glob("[0-9]*-*") if path.is_dir()):
        outbox = Outbox(folder)
        with outbox.alone() as may_send:
            opening = json.loads((folder / OPENING).read_text(encoding="utf-8")) if may_send else {}
            if opening.get("store") != store.address:
                continue
            try:
                outbox.send(store)
            except StoreAway:
                return
            except MlflowException as error:
                # its run was deleted there: no reason to keep others from working
                first = str(error).splitlines()[0]
                print(f"cmet: MLflow did not take what waits in {folder}: {first}; delete the folder", file=sys.stderr)
            else:
                print(f"cmet: MLflow answers again and has got what waited of {opening['name']}", file=sys.stderr)


def _read(folder: Path) -> Message:
    message = json.loads((folder / "message.json").read_text(encoding="utf-8"))
    return Message(message["kind"], message["values"], [folder / "files" / name for name in message["files"]])
