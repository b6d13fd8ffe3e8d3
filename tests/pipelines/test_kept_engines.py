"""Dagster's history as `make dev` keeps it: the files of Dagster's own storage, and engines that stay."""

import os
import subprocess
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy
import yaml
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage

from pipelines import kept_engines

ROOT = Path(__file__).parents[2]
KEY = dg.AssetKey("train_facemesh")


@dg.asset(name="train_facemesh")
def trained() -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"step": 3})


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HISTORY_FOLDER", str(tmp_path))
    monkeypatch.setenv("LOGS_FOLDER", str(tmp_path / "storage"))
    (tmp_path / "page").mkdir()
    (tmp_path / "page/dagster.yaml").write_text((ROOT / "pipelines/sqlite.yaml").read_text())
    return tmp_path


def kept(home: Path) -> dg.DagsterInstance:
    """The instance of a folder, as `make dev` has it."""
    return dg.DagsterInstance.from_config(str(home / "page"))


def plain(home: Path) -> dg.DagsterInstance:
    """The instance of a folder, as Dagster's own programs have it."""
    return dg.DagsterInstance.from_config(str(home))


def steps(instance: dg.DagsterInstance) -> list[object]:
    """What the materializations say, of runs that have succeeded."""
    assert {run.status for run in instance.get_runs()} <= {dg.DagsterRunStatus.SUCCESS}
    records = instance.fetch_materializations(KEY, limit=10).records
    return [one.asset_materialization.metadata["step"].value for one in records if one.asset_materialization]


def test_what_either_storage_has_written_the_other_reads(home: Path) -> None:
    for number, opened in enumerate((plain, kept, plain, kept), start=1):
        with opened(home) as instance:
            dg.materialize([trained], instance=instance)
            assert steps(instance) == [3] * number
            assert len(instance.get_runs()) == number


def test_an_engine_serves_every_later_question(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with kept(home) as instance:
        run = dg.materialize([trained], instance=instance)
        made = []

        def count(*arguments: object, **settings: object) -> sqlalchemy.Engine:
            made.append(arguments)
            return sqlalchemy.create_engine(*arguments, **settings)

        for module in (sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage, kept_engines):
            monkeypatch.setattr(module, "create_engine", count)
        assert steps(instance) == [3]
        assert instance.all_logs(run.run_id)
        assert instance.all_instigator_state() == []
        assert made == []


def test_a_history_that_was_removed_is_begun_anew(home: Path) -> None:
    with kept(home) as instance:
        dg.materialize([trained], instance=instance)
        instance.wipe()
        assert steps(instance) == []
        dg.materialize([trained], instance=instance)
        assert steps(instance) == [3]


def test_nothing_of_the_history_lies_in_the_folder_of_the_page(home: Path) -> None:
    with kept(home) as instance, plain(home) as own:
        dg.materialize([trained], instance=instance)
        assert instance.root_directory == own.root_directory == str(home)
        assert instance.storage_directory() == own.storage_directory()
        logs = [one.compute_log_manager.get_captured_local_path(["a", "b"], "png") for one in (instance, own)]
        assert logs[0] == logs[1]
    assert [path.name for path in (home / "page").iterdir()] == ["dagster.yaml"]


@pytest.mark.parametrize(
    ("own", "is_own"),
    [("", False), ("run_queue: {}\n", False), ("storage: {postgres: {}}\n", True), ("compute_logs: {}\n", True)],
)
def test_the_page_has_its_folder_unless_a_person_says_where_things_are_kept(
    tmp_path: Path, own: str, is_own: bool
) -> None:
    listed = subprocess.run(["make", "-n", "dev"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    start, end = listed.index("mkdir -p"), listed.index("python -m pipelines.reports_page")
    if own:
        (tmp_path / "dagster.yaml").write_text((ROOT / "pipelines/dagster.yaml").read_text() + own)
    environment = {"PATH": os.environ["PATH"], "DAGSTER_HOME": str(tmp_path)}
    command = ["sh", "-e", "-c", listed[start:end] + "env"]
    found = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    assert (f"DAGSTER_HOME={tmp_path}" in found.splitlines()) == is_own
    assert (f"DAGSTER_HOME={tmp_path}/page" in found.splitlines()) == (not is_own)
    assert (f"HISTORY_FOLDER={tmp_path}" in found.splitlines()) == (not is_own)
    settings = yaml.safe_load((tmp_path / "page/dagster.yaml").read_text())
    assert settings["telemetry"] == {"enabled": False}
