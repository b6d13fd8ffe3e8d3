"""A store of runs that does not answer: a sentence before the work begins, and nothing lost once it has begun."""

import shutil
import socket
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeVar

import pandas as pd
import pytest
from matplotlib.figure import Figure
from mlflow import MlflowClient

from cmet.errors import UserError
from cmet.params import Params
from cmet.tracking import store as stores
from cmet.tracking.runs import About, Run, download_file, find_run, runs_below, tracked_run
from cmet.tracking.store import StoreAway, open_store
from tests.unit.editing.models import write_model

Answer = TypeVar("Answer")
REASON = "nothing answers there"


@contextmanager
def server(status: int, body: bytes, kind: str) -> Iterator[str]:
    """A web server that answers everything in the same way."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_port}"
        finally:
            running.shutdown()
            thread.join()


@contextmanager
def nobody() -> Iterator[str]:
    """A port at which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{free.getsockname()[1]}"


@contextmanager
def mute() -> Iterator[str]:
    """A server that takes questions and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize(
    ("answering", "said"),
    [
        (nobody, "nothing answers there"),
        (mute, "no answer in time"),
        (lambda: server(401, b"You are not authenticated", "text/plain"), r"other credentials \(HTTP 401\)"),
        (
            lambda: server(403, b'{"error_code": "PERMISSION_DENIED"}', "application/json"),
            r"other credentials \(HTTP 403\)",
        ),
        (lambda: server(200, b"<html>Log in</html>", "text/html"), "no MLflow server but perhaps a page to log in"),
        (lambda: server(200, b"{}", "application/json"), "no MLflow server"),
        (lambda: server(404, b"<html>", "text/html"), r"no MLflow server \(HTTP 404\)"),
        (lambda: server(503, b"", "text/plain"), r"has an error \(HTTP 503\)"),
    ],
)
def test_a_store_that_does_not_answer_is_told_at_once_and_at_every_door(
    answering: Callable, said: str, params: Params, tmp_path: Path, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    about = About("train", "train", "facemesh", params, {}, "code", tmp_path)
    with answering() as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        doors: list[Callable[[], object]] = [
            lambda: tracked_run(about).__enter__(),
            lambda: find_run("train", "facemesh", tmp_path),
            lambda: download_file("0" * 32, "results.parquet", tmp_path),
        ]
        for door in doors:
            with pytest.raises(UserError, match=rf"^MLFLOW_TRACKING_URI {address}: .*({said}).*; start the server"):
                door()
    assert pauses == []


@pytest.mark.parametrize(
    "address", ["htp://nowhere", "http://[::1", "postgresql://a@b/c", "./mlruns", "sqlite:////no/such/folder/mlflow.db"]
)
def test_an_address_that_is_none_is_told(
    address: str, params: Params, tmp_path: Path, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with (
        pytest.raises(UserError, match="^MLFLOW_TRACKING_URI "),
        tracked_run(About("train", "train", "facemesh", params, {}, "code", tmp_path)),
    ):
        pass
    assert pauses == []


class Line:
    """The line to a store, which can be cut."""

    is_cut = False


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    line, answered = Line(), stores._answered

    def cut(question: Callable[[], Answer], *refusals: Collection[str]) -> Answer:
        if line.is_cut:
            raise StoreAway(REASON)
        return answered(question, *refusals)

    monkeypatch.setattr(stores, "_answered", cut)
    monkeypatch.setattr(stores, "FIRST_PAUSE_S", 1e-6)
    monkeypatch.setattr(stores, "LONGEST_PAUSE_S", 1e-6)
    return line


@pytest.fixture
def about(params: Params, tmp_path: Path, empty_store: Path) -> About:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    return About("train", "train", "facemesh", params, {"data/shards/facemesh": "abc"}, "code", tmp_path)


def steps(run: Run, key: str = "loss") -> list[int]:
    return [point.step for point in run.client.get_metric_history(run.run_id, key)]


def waiting(about: About) -> list[Path]:
    return list((about.root / ".work/unsent").glob("*"))


def log_all(run: Run, numbers: range, folder: Path) -> None:
    """Everything that is ever logged."""
    (folder / "page.html").write_text("<p>page</p>")
    for step in numbers:
        run.log_metrics(step, {"loss": 1 / step})
        run.flush()
    run.log_file(folder / "page.html", "pages")
    # the networks of a backbone are a folder
    (folder / "backbone").mkdir(exist_ok=True)
    (folder / "backbone" / "basis.npy").write_bytes(b"basis")
    run.log_file(folder / "backbone", "parts")
    run.log_figure(Figure(), "figures/empty.png")
    run.log_table(pd.DataFrame({"correct": [True, None], "row_id": ["a", "b"]}), "predictions.json")
    write_model(folder / "model", "facemesh", 6, "opensmile", 88)
    run.log_model(folder / "model")
    run.log_scores(folder / "model", {"acc": 0.5}, ("rows", "digest"))


LOGGED = {"environment.json", "pages", "figures", "predictions.json", "parts"}


def logged_models(run: Run) -> list[tuple[str, list[float], set[str]]]:
    """Status, scores and files of all models of the store."""
    return [
        (str(entry.status), [metric.value for metric in entry.metrics],
         {file.path for file in run.client.list_logged_model_artifacts(entry.model_id)})
        for entry in run.client.search_logged_models([run.store.experiment])
    ]  # fmt: skip


def assert_one_whole_model(run: Run) -> None:
    """One model, with the scores of the evaluation, that can be fetched."""
    ((status, scores, files),) = logged_models(run)
    assert (status, scores) == ("READY", [0.5])
    assert files >= {"MLmodel", "README.md", "artifacts", "requirements.txt", "wheels"}


def test_an_outage_within_a_run_costs_nothing(
    about: About, line: Line, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with tracked_run(about, system_metrics=True) as run:
        run.log_metrics(1, {"loss": 1.0})
        run.flush()
        line.is_cut = True
        log_all(run, range(2, 6), tmp_path)
        line.is_cut = False
        run.log_metrics(6, {"loss": 1.0})
    assert steps(run) == [1, 2, 3, 4, 5, 6]
    assert {file.path for file in run.client.list_artifacts(run.run_id)} == LOGGED
    assert_one_whole_model(run)
    assert run.client.get_run(run.run_id).info.status == "FINISHED"
    assert waiting(about) == []
    said = capsys.readouterr().err
    assert said.count(REASON) == 1
    assert "waits in .work/unsent" in said


def test_what_a_run_could_not_send_is_sent_by_the_next_one(about: About, line: Line, tmp_path: Path) -> None:
    with tracked_run(about) as run:
        line.is_cut = True
        log_all(run, range(1, 6), tmp_path)
    assert run.client.get_run(run.run_id).info.status == "RUNNING"
    assert len(waiting(about)) == 2
    line.is_cut = False
    with tracked_run(replace(about, name="another")):
        pass
    assert waiting(about) == []
    assert steps(run) == [1, 2, 3, 4, 5]
    assert {file.path for file in run.client.list_artifacts(run.run_id)} == LOGGED
    assert_one_whole_model(run)
    ended = run.client.get_run(run.run_id)
    assert (ended.info.status, ended.data.metrics["acc"]) == ("FINISHED", 0.5)


def test_a_run_that_failed_in_an_outage_is_gone_on_with_and_logs_nothing_twice(about: About, line: Line) -> None:
    with pytest.raises(RuntimeError), tracked_run(about) as first:
        first.log_metrics(1, {"loss": 1.0})
        line.is_cut = True
        first.log_metrics(2, {"loss": 1.0})
        raise RuntimeError
    line.is_cut = False
    with tracked_run(about) as second:
        for step in (2, 3):
            second.log_metrics(step, {"loss": 1.0})
    assert (second.run_id, steps(second)) == (first.run_id, [1, 2, 3])


def test_runs_that_begin_in_an_outage_are_made_later_under_their_parents(about: About, line: Line) -> None:
    with tracked_run(replace(about, stage="evaluate")):
        line.is_cut = True
        with tracked_run(about) as parent, runs_below(parent, {"cmet.seed": "1"}):
            with tracked_run(replace(about, name="below")) as below:
                below.log_metrics(1, {"loss": 1.0})
            assert (parent.run_id, below.run_id) == ("", "")
    line.is_cut = False
    with tracked_run(replace(about, name="another", stage="judge")):
        pass
    assert waiting(about) == []
    store = open_store(about.root)
    found = {run.info.run_name: run for run in store.client.search_runs([store.experiment])}
    assert found["below"].data.tags["mlflow.parentRunId"] == find_run("train", "facemesh", about.root)
    assert found["below"].data.metrics == {"loss": 1.0}
    assert [read.dataset.name for read in found["below"].inputs.dataset_inputs] == ["shards/facemesh"]
    assert "train@facemesh" in found["below"].data.tags["mlflow.note.content"]


def test_what_waits_for_one_store_is_not_sent_to_another(
    about: About, line: Line, empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tracked_run(about) as run:
        line.is_cut = True
        run.log_metrics(1, {"loss": 1.0})
    line.is_cut = False
    shutil.copy(empty_store, tmp_path / "other.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other.db")
    with tracked_run(about):
        pass
    assert waiting(about)


def test_a_deleted_run_keeps_no_other_from_working(
    about: About, line: Line, capsys: pytest.CaptureFixture[str]
) -> None:
    with tracked_run(about) as run:
        line.is_cut = True
        run.log_metrics(1, {"loss": 1.0})
    line.is_cut = False
    run.client.delete_run(run.run_id)
    with tracked_run(replace(about, name="another")) as other:
        pass
    assert other.client.get_run(other.run_id).info.status == "FINISHED"
    assert "did not take what waits" in capsys.readouterr().err


def test_a_run_that_is_deleted_while_it_works_loses_no_work(about: About, capsys: pytest.CaptureFixture[str]) -> None:
    with tracked_run(about) as run:
        run.client.delete_run(run.run_id)
        for step in (1, 2):
            run.log_metrics(step, {"loss": 1.0})
            run.flush()
    assert capsys.readouterr().err.count("the work goes on") == 1
    assert waiting(about)


@pytest.mark.parametrize("status", [400, 404, 502])
def test_a_page_of_a_proxy_is_an_outage_whatever_its_code(status: int, tmp_path: Path) -> None:
    with server(status, b"404 page not found", "text/plain") as address:
        store = stores.Store(address, MlflowClient(address), "1")
        with pytest.raises(StoreAway):
            store.ask(lambda: store.client.get_run("0" * 32))
