"""Where runs are kept: the address of the store, whether it answers, and what is said where it does not."""

import logging
import math
import os
import re
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote, urlsplit

from cmet.errors import UserError
from cmet.tracking.front import show_runs_first

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "cmet"
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    # Postgres
    "PGCONNECT_TIMEOUT": "10",
}
"""MLflow alone waits for minutes; whoever has a slow server sets more in the environment."""
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    # runs below others, too, and on standard output
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
"""What MLflow would tell others, and draw over the progress of a stage."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 120.0
"""How long a store that did not answer is not asked again; twice as long after each time."""
REFUSALS = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_ALREADY_EXISTS")
"""What a store answers to a question that is wrong: it is there, and waiting would not help."""

Answer = TypeVar("Answer")


class StoreAway(Exception):
    """The store gave no answer of its own; the message says in words what came instead."""


@dataclass
class Store:
    """A store of runs that has answered once; it may be away for a while."""

    address: str
    client: "MlflowClient"
    experiment: str
    """Id of the experiment in which all runs are."""
    _pause_s: float = field(default=0.0, init=False)
    """How long it is not asked, since it did not answer; 0 while it does."""
    _asked_at: float = field(default=-math.inf, init=False)

    def ask(self, question: Callable[[], Answer]) -> Answer:
        """What the store answers to a question.

        Raises:
            StoreAway: It does not answer, or did not a moment ago.
        """
        if time.monotonic() < self._asked_at + self._pause_s:
            raise StoreAway(self.address)
        try:
            answer = _answered(question)
        except StoreAway as error:
            if not self._pause_s:
                print(
                    f"cmet: MLflow at {self.address}: {error}; the work goes on, and what it logs waits in "
                    ".work/unsent until this run or the next one can send it",
                    file=sys.stderr,
                )
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S) or FIRST_PAUSE_S
            self._asked_at = time.monotonic()
            raise
        self._pause_s = 0.0
        return answer

    def hurry(self) -> None:
        """Let the next question be asked although the last one was not answered."""
        self._asked_at = -math.inf


_STORES: dict[tuple[str, Path], Store] = {}
"""Those that have answered in this process."""


def default_store(root: Path) -> str:
    """Address of the store of a project: `MLFLOW_TRACKING_URI`, or a SQLite file in its folder."""
    # absolute: a relative one would make a new store in every folder that a command is started from
    return os.environ.get("MLFLOW_TRACKING_URI") or _own_store(root)


def has_store(root: Path) -> bool:
    """Whether there is a store to look into: opening a SQLite file that is missing would make an empty one."""
    store = default_store(root)
    return not store.startswith("sqlite") or _file(store).is_file()


def is_database(store: str) -> bool:
    """Whether runs are in a database that MLflow itself opens (a file of SQLite, Postgres), and not with a server."""
    return store.partition(":")[0].partition("+")[0] in ("sqlite", "postgresql")


def files_of(store: str, root: Path) -> Path:
    """Where the files of a database's runs lie: beside a file of SQLite, else in the project that began with it."""
    beside = _file(store).resolve().parent if store.startswith("sqlite") else root.resolve()
    return beside / "mlruns"


def _file(store: str) -> Path:
    """Where a SQLite store lies."""
    return Path(unquote(store.partition(":///")[2]))


def open_store(root: Path) -> Store:
    """The store of a project.

    One that has answered in this process is given even while it is away: the work that logs to it goes on.

    Raises:
        UserError: It does not answer, what answers is no MLflow server, or it belongs to another project.
    """
    address = default_store(root)
    for name, value in {**PATIENCE, **QUIET}.items():
        os.environ.setdefault(name, value)
    known = _STORES.get((address, root.resolve()))
    try:
        if known is not None:
            known.experiment = known.ask(lambda: _experiment(known.client, address, root))
            return known
        client, experiment = _answered(lambda: _opened(address, root), ())
    # the last two: a database whose driver is not installed, and an address that is none
    except (StoreAway, ImportError, ValueError) as error:
        if known is not None:
            return known
        named = "MLFLOW_TRACKING_URI" if os.environ.get("MLFLOW_TRACKING_URI") else "the store of runs"
        raise UserError(
            f"{named} {address}: {error}; start the server or mend the address, or unset MLFLOW_TRACKING_URI to log "
            "into mlflow.db of the project"
        ) from error
    return _STORES.setdefault((address, root.resolve()), Store(address, client, experiment))


def asked(store: Store, question: Callable[[], Answer]) -> Answer:
    """What the store answers to a person who waits for it.

    Raises:
        UserError: It does not answer.
    """
    try:
        return store.ask(question)
    except StoreAway as error:
        raise UserError(f"MLflow at {store.address}: {error}") from error


def _opened(address: str, root: Path) -> tuple["MlflowClient", str]:
    from mlflow import MlflowClient

    if address.startswith("sqlite"):
        path = _file(address)
        # MLflow would make it, or try again for minutes
        if not os.access(path.parent, os.W_OK):
            raise StoreAway("no such folder, or none that can be written to")
        _find_migrations()
    elif is_database(address):
        _reach(address)
    client = MlflowClient(address)
    return client, _experiment(client, address, root)


def _reach(address: str) -> None:
    """See that a database answers: MLflow would ask for minutes, and show a traceback each time."""
    import sqlalchemy

    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    try:
        with sqlalchemy.create_engine(address, poolclass=sqlalchemy.NullPool).connect():
            pass
    except ImportError as error:
        raise StoreAway(f"{error}; 'cmet[postgres]' has the driver of postgresql+psycopg2://") from error
    except sqlalchemy.exc.OperationalError as error:
        raise StoreAway(_said(error)) from error


def _find_migrations() -> None:
    """Let MLflow find its tables' history in a folder with % in its name, which settings take for a placeholder."""
    from mlflow.store.db import utils

    package = utils._get_package_dir()
    if "%" in package:
        descriptor = os.open(package, os.O_PATH)
        utils._get_package_dir = lambda: f"/proc/self/fd/{descriptor}"


def _experiment(client: "MlflowClient", address: str, root: Path) -> str:
    experiment = client.get_experiment_by_name(EXPERIMENT)
    own_artifacts = (root.resolve() / "mlruns").as_uri()
    if experiment is None:
        # a server decides itself where artifacts lie; a project may log into the file of another one
        made = client.create_experiment(EXPERIMENT, files_of(address, root).as_uri() if is_database(address) else None)
        show_runs_first(client, made)
        return made
    if not experiment.experiment_id:
        raise StoreAway("what answers is no MLflow server")
    if address == _own_store(root) and experiment.artifact_location != own_artifacts:
        # MLflow keeps whole addresses: what is logged here would land where the project came from
        raise UserError(
            f"{root}: mlflow.db belongs to a project elsewhere, whose files are at {experiment.artifact_location}; "
            "delete mlflow.db and mlruns to start afresh here, or set MLFLOW_TRACKING_URI to continue there"
        )
    files = urlsplit(experiment.artifact_location)
    if is_database(address) and files.scheme == "file" and not Path(unquote(files.path)).parent.is_dir():
        raise StoreAway(f"files of its runs are in {unquote(files.path)}, which this machine does not have")
    return experiment.experiment_id


def _own_store(root: Path) -> str:
    path = str(root.resolve() / "mlflow.db")
    if not {"%", "?"} & set(path):
        return f"sqlite:///{path}"
    # with the driver in it, MLflow leaves an address alone; of others it makes folders that are called like the code
    return "sqlite+pysqlite:///" + path.replace("%", "%25").replace("?", "%3F")


def _answered(question: Callable[[], Answer], refusals: Collection[str] = REFUSALS) -> Answer:
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    try:
        return question()
    except MlflowException as error:
        # what a proxy says by an HTTP code alone is no answer
        if error.error_code in refusals and not str(error).startswith("API request to endpoint"):
            raise
        raise StoreAway(_said(error)) from error
    except RequestException as error:
        raise StoreAway(_said(error)) from error


def _said(error: Exception) -> str:
    """What is wrong in a few words: MLflow says it in half a page."""
    text = str(error)
    status = getattr(error, "get_http_status_code", lambda: 0)()
    known = {
        "not in a valid JSON format": "what answers is no MLflow server but perhaps a page to log in",
        "timed out": "no answer in time",
        "timeout expired": "no answer in time",
        "Connection refused": "nothing answers there",
        "Connection aborted": "the connection broke off",
        "resolve": "no such host",
        "translate host name": "no such host",
        "password": "the database wants another password; set PGPASSWORD, or write it into ~/.pgpass",
    }
    if status in (401, 403):
        variables = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
        return f"the server wants other credentials (HTTP {status}); set {variables}"
    if failed := re.search(r"too many (\d+) error responses", text):
        return f"the server, or a proxy before it, has an error (HTTP {failed[1]})"
    if status == 404:
        return "what answers is no MLflow server (HTTP 404)"
    return next((said for part, said in known.items() if part in text), text.splitlines()[0][:300])
