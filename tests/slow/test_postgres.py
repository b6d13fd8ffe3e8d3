"""Dagster's history and MLflow's runs in Postgres, as compose.yaml keeps them, and what is left after a restart."""

import re
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from cmet.cleaning import find_leftovers, remove
from cmet.errors import UserError
from cmet.params import Params
from cmet.tracking import store as stores
from cmet.tracking.runs import About, find_run, tracked_run
from tests.pipelines.test_truth import NAMES, Page, made  # noqa: F401
from tests.postgres_server import PASSWORD, Postgres, postgres_server, programs

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    found = programs()
    if found is None:
        pytest.skip("Postgres is not installed; apt-get install postgresql")
    with postgres_server(found) as server:
        yield server


@pytest.fixture
def stored(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Postgres:
    """The server, told by the environment of compose.yaml."""
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", postgres.address("dagster"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", postgres.address("mlflow"))
    return postgres


@pytest.fixture(scope="module")
def about(params: Params, tmp_path_factory: pytest.TempPathFactory) -> About:
    """Of one project, which the database belongs to."""
    root = tmp_path_factory.mktemp("tracked")
    return About("train", "train", "facemesh", params, {"data/shards/facemesh": "abc"}, "code", root)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A DAGSTER_HOME with the settings of compose.yaml."""
    settings = [(ROOT / "pipelines" / name).read_text() for name in ("dagster.yaml", "postgres.yaml")]
    (tmp_path / "dagster.yaml").write_text("".join(settings))
    return tmp_path


def test_what_was_materialized_and_observed_is_in_postgres_after_a_restart(
    stored: Postgres,
    made: Path,  # noqa: F811
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(made)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        page = Page(made, instance)
        assert page.materialize("words").success
        [run] = instance.get_runs()
        page.terminal()
        page.tick()
        assert page.out_of_date() == set()
    assert not list(home.rglob("*.db"))
    assert stored.ask("dagster", "SELECT run_id, status FROM runs") == [(run.run_id, "SUCCESS")]
    stored.restart()
    with dg.DagsterInstance.from_config(str(home)) as instance:
        page = Page(made, instance)
        assert page.out_of_date() == set()
        assert page.tick().startswith("told Dagster of 0 of 0 stages and 0 inputs")
        assert [page.num_made(name) for name in NAMES] == [1, 1, 1, 1]


def test_a_run_is_in_postgres_after_a_restart_and_its_files_in_the_project(stored: Postgres, about: About) -> None:
    (about.root / "page.html").write_text("<p>page</p>")
    with tracked_run(about) as run:
        run.log_metrics(1, {"loss": 0.5})
        run.log_file(about.root / "page.html")
    logged = f"SELECT value FROM metrics WHERE run_uuid = '{run.run_id}' AND key = 'loss'"
    assert stored.ask("mlflow", logged) == [(0.5,)]
    assert not list(about.root.rglob("*.db"))
    stored.restart()
    # as another process does, which has no connection yet
    stores._STORES.clear()
    assert find_run("train", "facemesh", about.root) == run.run_id
    assert list((about.root / "mlruns").rglob("page.html"))


def test_a_run_outlives_a_restart_of_the_database(
    stored: Postgres, about: About, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stores, "FIRST_PAUSE_S", 1e-6)
    monkeypatch.setattr(stores, "LONGEST_PAUSE_S", 1e-6)
    with tracked_run(about) as run:
        stored.stop()
        try:
            for step in (1, 2):
                run.log_metrics(step, {"loss": 1 / step})
                run.flush()
        finally:
            stored.start()
    said = capfd.readouterr().err
    assert said.count("nothing answers there; the work goes on") == 1
    assert "Traceback" not in said
    history = run.client.get_metric_history(run.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(1, 1.0), (2, 0.5)]
    assert run.client.get_run(run.run_id).info.status == "FINISHED"


def test_old_runs_go_from_postgres_and_the_disk_of_the_project_that_has_their_files(
    stored: Postgres, about: About, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ids = []
    for _ in range(2):
        with tracked_run(about) as run:
            run.log_metrics(1, {"loss": 1.0})
        ids.append(run.run_id)
    with pytest.raises(UserError, match=f"{about.root}/mlruns; clean them in the project of that folder"):
        find_leftovers(tmp_path_factory.mktemp("another"), has_outputs=False, num_kept_runs=1)
    (found,) = find_leftovers(about.root, has_outputs=False, num_kept_runs=1)
    assert ids[0] in found.run_ids
    remove(about.root, [found])
    assert {path.name for path in (about.root / "mlruns").iterdir()} == {ids[1]}
    assert stored.ask("mlflow", "SELECT run_uuid FROM runs") == [(ids[1],)]


@pytest.mark.parametrize(
    ("port", "password", "said"),
    [(1, PASSWORD, "nothing answers there"), (None, "guessed", "the database wants another password; set PGPASSWORD")],
)
def test_a_database_that_does_not_let_in_is_told_at_once(
    stored: Postgres,
    about: About,
    port: int | None,
    password: str,
    said: str,
    pauses: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address = stored.address("mlflow").replace(str(stored.port), str(port or stored.port))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("PGPASSWORD", password)
    stores._STORES.clear()
    with pytest.raises(UserError, match=f"^MLFLOW_TRACKING_URI {re.escape(address)}: {said}"):
        tracked_run(about).__enter__()
    assert pauses == []
