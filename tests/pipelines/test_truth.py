"""Dagster shows what DVC says, on a real project of shell commands: what is made, out of date, and may run."""

import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest
from dvc.repo import Repo

from assets.dvc_project import DvcProject, asset_key
from assets.ledger import sources_observed, state_key
from assets.stages import stage_assets
from pipelines.sensors import dvc_watch

GRAPH = {
    "words": {"cmd": "cat words.txt > words", "deps": ["words.txt"], "outs": ["words"]},
    "count": {
        "matrix": {"unit": ["lines"]},
        "cmd": "wc --${item.unit} < words > count",
        "deps": ["words", "cmet/count.py"],
        "params": ["scale"],
        "outs": ["count"],
    },
    "sum": {"cmd": "cat count > sum", "deps": ["count"], "outs": ["sum"]},
    "length": {"cmd": "wc < words > length", "deps": ["words"], "outs": ["length"]},
}
NAMES = ("words", "count@lines", "sum", "length")
SETTINGS = {"telemetry": {"enabled": False}}


class Page:
    """What a person sees and does: the definitions as the page has loaded them, its history, and the sensor."""

    def __init__(self, root: Path, instance: dg.DagsterInstance) -> None:
        self.root, self.instance = root, instance
        self.project = DvcProject(root=str(root))
        self.stages = self.project.stages()
        self.assets = [*stage_assets(self.stages), sources_observed(self.stages)]
        self.cursor: str | None = None

    def tick(self) -> str:
        """What the sensor says; as if its rest were over."""
        if self.cursor:
            self.cursor = json.dumps(json.loads(self.cursor) | {"looked_s": 0})
        context = dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, resources={"project": self.project}
        )
        result = dvc_watch(self.stages).evaluate_tick(context)
        assert not result.run_requests
        self.cursor = result.cursor
        return result.skip_message or ""

    def out_of_date(self) -> set[str]:
        """The stages that are Unsynced or were never made."""
        graph = dg.Definitions(self.assets, resources={"project": self.project}).resolve_asset_graph()
        found = CachingStaleStatusResolver(self.instance, graph, LoadingContextForTest(self.instance))
        return {name for name in NAMES if found.get_status(asset_key(name)).value != "FRESH"}

    def materialize(self, *names: str) -> dg.ExecuteInProcessResult:
        return dg.materialize(
            self.assets,
            instance=self.instance,
            resources={"project": self.project},
            selection=[asset_key(name) for name in names],
            raise_on_error=False,
        )

    def terminal(self, *names: str) -> list[str]:
        """`dvc repro`: the stages that it has run."""
        with Repo(str(self.root)) as repo:
            return [stage.name for stage in repo.reproduce(names or None)]

    def dvc_status(self) -> set[str]:
        with Repo(str(self.root)) as repo:
            return {name.rpartition("dvc.yaml:")[2] for name in repo.status()}

    def edit(self, file: str, text: str) -> None:
        (self.root / file).write_text(text)

    def num_made(self, name: str) -> int:
        return len(self.instance.fetch_materializations(asset_key(name), limit=100).records)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": GRAPH}, sort_keys=False))
    (root / "cmet").mkdir()
    for file, text in {"words.txt": "one\ntwo\n", "params.yaml": "scale: 1\n", "cmet/count.py": "1\n"}.items():
        (root / file).write_text(text)
    Repo.init(str(root), no_scm=True).close()
    return root


@pytest.fixture
def page(made: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """All of it made by a terminal, where a terminal is."""
    monkeypatch.chdir(made)
    for file, text in {"words.txt": "one\ntwo\n", "params.yaml": "scale: 1\n", "cmet/count.py": "1\n"}.items():
        (made / file).write_text(text)
    with dg.DagsterInstance.ephemeral(settings=SETTINGS) as instance:
        page = Page(made, instance)
        page.terminal()
        yield page


def test_what_a_terminal_has_made_is_shown_once_and_without_a_run(page: Page) -> None:
    assert page.out_of_date() == set(NAMES)
    page.tick()
    assert page.out_of_date() == set()
    assert page.instance.get_runs() == []
    assert page.tick().startswith("told Dagster of 0 of 0 stages and 0 inputs")
    assert [page.num_made(name) for name in NAMES] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("file", "text", "named"),
    [
        ("params.yaml", "scale: 2\n", {"count@lines"}),
        ("cmet/count.py", "2\n", {"count@lines"}),
        ("words.txt", "three\n", {"words"}),
        ("sum", "written by hand\n", {"sum"}),
        ("words", "by hand, too\n", {"words", "count@lines", "length"}),
    ],
)
def test_an_edit_shows_without_a_reload_on_what_dvc_names_and_what_stands_below(
    page: Page, file: str, text: str, named: set[str]
) -> None:
    page.tick()
    before = (page.root / file).read_text()
    page.edit(file, text)
    page.tick()
    assert page.dvc_status() == named
    below = {"words": set(NAMES), "count@lines": {"count@lines", "sum"}}
    assert page.out_of_date() == named.union(*(below.get(name, set()) for name in named))
    page.edit(file, before)
    page.tick()
    assert page.out_of_date() == set()
    assert [page.num_made(name) for name in NAMES] == [1, 1, 1, 1]


def test_an_edit_before_the_first_look_leaves_what_was_made_to_see_and_out_of_date(page: Page) -> None:
    page.edit("params.yaml", "scale: 2\n")
    page.tick()
    assert [page.num_made(name) for name in NAMES] == [1, 1, 1, 1]
    assert page.out_of_date() == {"count@lines", "sum"}


def test_no_stage_runs_below_one_that_is_out_of_date_and_nothing_is_deleted(page: Page) -> None:
    page.tick()
    page.edit("params.yaml", "scale: 2\n")
    result = page.materialize("sum")
    [failure] = [event for event in result.all_node_events if event.is_step_failure]
    assert failure.step_failure_data.user_failure_data
    assert failure.step_failure_data.user_failure_data.description == (
        "sum would mix results: count_lines is out of date (scale is 2, was 1). Materialize count_lines and what lies "
        "between first: choose Materialize unsynced, or the job everything."
    )
    assert (page.root / "sum").exists()


def test_a_stage_that_was_never_made_is_named_to_those_below(page: Page) -> None:
    (page.root / "count").unlink()
    page.edit("dvc.lock", "schema: '2.0'\nstages: {}\n")
    page.terminal("words")
    result = page.materialize("sum")
    [failure] = [event for event in result.all_node_events if event.is_step_failure]
    assert failure.step_failure_data.user_failure_data
    assert str(failure.step_failure_data.user_failure_data.description).startswith(
        "sum has nothing to read yet: count_lines has to be made (it has never run)."
    )
    page.terminal()


def test_a_run_of_what_is_out_of_date_ends_with_everything_fresh_though_nobody_has_looked(page: Page) -> None:
    page.tick()
    # seen by the sensor, and edited again behind its back
    page.edit("params.yaml", "scale: 2\n")
    page.tick()
    page.edit("params.yaml", "scale: 3\n")
    assert page.materialize(*page.out_of_date()).success
    assert page.out_of_date() == set()
    assert page.dvc_status() == set()
    assert page.tick().startswith("told Dagster of 0 of 0 stages")


def test_a_stage_that_a_new_input_left_as_it_was_is_fresh_as_dvc_says(page: Page) -> None:
    page.tick()
    # the same number of lines: `sum` reads what it read before
    page.edit("words.txt", "three\nfour\n")
    assert "sum" not in page.terminal()
    assert page.dvc_status() == set()
    page.tick()
    assert page.out_of_date() == set()


def test_a_file_that_is_half_edited_is_a_sentence_and_no_error(page: Page) -> None:
    page.tick()
    for file, words in (("params.yaml", "params.yaml"), ("dvc.lock", "dvc.lock")):
        whole = (page.root / file).read_text()
        page.edit(file, f"<<<<<<< ours\n{whole}=======\n")
        said = page.tick()
        assert said.startswith("DVC could not be asked: ")
        assert words in said
        page.edit(file, whole)
    assert page.tick().startswith("told Dagster of 0 of 0 stages and 0 inputs; 0 stages")


def test_what_a_run_is_about_to_report_is_left_to_it(page: Page) -> None:
    definitions = dg.Definitions(
        page.assets, resources={"project": page.project}, jobs=[dg.define_asset_job("some", [asset_key("words")])]
    )
    page.instance.create_run_for_job(definitions.resolve_job_def("some"))
    page.tick()
    assert [page.num_made(name) for name in NAMES] == [0, 1, 1, 1]


def test_why_a_stage_is_out_of_date_is_shown_with_it(page: Page) -> None:
    page.edit("params.yaml", "scale: 2\n")
    page.tick()
    [record] = page.instance.fetch_observations(state_key("sum"), limit=1).records
    assert record.asset_observation
    assert record.asset_observation.metadata["state"].value == "out of date: count_lines, scale is 2, was 1"


def test_nothing_is_asked_while_nothing_is_edited(page: Page) -> None:
    page.tick()
    resting = dg.build_sensor_context(instance=page.instance, cursor=page.cursor, resources={"project": page.project})
    assert dvc_watch(page.stages).evaluate_tick(resting).skip_message == "nothing has been edited"
