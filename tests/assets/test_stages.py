import subprocess
from collections.abc import Iterator

import dagster as dg
import pytest
import yaml
from dvc.repo import Repo

from assets.dvc_project import DvcProject
from assets.stages import stage_assets

GRAPH = {
    "words": {"cmd": "cat words.txt > words.out", "deps": ["words.txt"], "outs": ["words.out"]},
    "count": {
        "matrix": {"unit": ["lines"]},
        "cmd": "test -s words.out || { echo 'there are no words'; exit 1; }; wc --${item.unit} < words.out > count",
        "deps": ["words.out"],
        "outs": ["count"],
    },
}
SETTINGS = {"telemetry": {"enabled": False}}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> DvcProject:
    """A real project of two shell commands, under git and DVC."""
    root = tmp_path_factory.mktemp("project")
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": GRAPH}))
    (root / "words.txt").write_text("one\ntwo\n")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    Repo.init(str(root)).close()
    return DvcProject(root=str(root))


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral(settings=SETTINGS) as instance:
        yield instance


@pytest.fixture(scope="module")
def twice(project: DvcProject, instance: dg.DagsterInstance) -> list[dg.ExecuteInProcessResult]:
    return [materialize(project, instance), materialize(project, instance)]


def materialize(project: DvcProject, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    assets = stage_assets(project.stages())
    return dg.materialize(assets, instance=instance, resources={"project": project}, raise_on_error=False)


def test_assets_run_in_the_order_of_the_stages(twice: list[dg.ExecuteInProcessResult], project: DvcProject) -> None:
    first = twice[0]
    assert first.success
    keys = [event.asset_key.path for event in first.get_asset_materialization_events() if event.asset_key]
    assert keys == [["words"], ["count_lines"]]
    assert (project.path / "count").read_text() == "2\n"


def test_the_second_run_is_cached_and_has_the_same_versions(twice: list[dg.ExecuteInProcessResult]) -> None:
    cached, versions = [], []
    for result in twice:
        shown = [event.materialization for event in result.get_asset_materialization_events()]
        cached.append([event.metadata["cached"].value for event in shown])
        versions.append([event.tags["dagster/data_version"] for event in shown if event.tags])
    assert cached == [[False, False], [True, True]]
    assert versions[0] == versions[1]


def test_dvc_has_nothing_left_to_do_after_dagster(twice: list[dg.ExecuteInProcessResult], project: DvcProject) -> None:
    with Repo(str(project.path)) as repo:
        assert repo.reproduce(all_pipelines=True) == []


def test_a_failing_stage_fails_its_asset_with_what_it_printed(
    twice: list[dg.ExecuteInProcessResult], project: DvcProject
) -> None:
    (project.path / "words.txt").write_text("")
    with dg.DagsterInstance.ephemeral(settings=SETTINGS) as instance:
        result = materialize(project, instance)
    assert not result.success
    [failure] = [event for event in result.all_node_events if event.is_step_failure]
    assert failure.step_key == "count_lines"
    assert "there are no words" in str(failure.step_failure_data.user_failure_data)
