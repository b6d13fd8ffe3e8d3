import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from dvc.repo import Repo

from pipelines.resources import DvcProject, _lines, _own_session

GRAPH = {
    "words": {
        "cmd": "mkdir -p data/words && cat words.txt > data/words/all.txt",
        "deps": ["words.txt"],
        "outs": ["data/words"],
    },
    "count": {
        "matrix": {"unit": ["lines", "bytes"]},
        "desc": "How much there is",
        "cmd": "mkdir -p data/count && wc --${item.unit} < data/words/all.txt > data/count/${item.unit}",
        "params": ["scale"],
        "deps": ["data/words/all.txt"],
        "outs": ["data/count/${item.unit}"],
    },
    "sum": {"cmd": "cat data/count/* > data/sum", "deps": ["data/count"], "outs": ["data/sum"]},
}


@pytest.fixture
def project(tmp_path: Path) -> DvcProject:
    """A real DVC project of shell commands."""
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": GRAPH}, sort_keys=False))
    (tmp_path / "params.yaml").write_text("scale: 1\n")
    (tmp_path / "words.txt").write_text("one\ntwo\n")
    Repo.init(str(tmp_path), no_scm=True).close()
    return DvcProject(root=str(tmp_path))


def test_stages_are_read_in_order_with_matrix_stages_resolved(project: DvcProject) -> None:
    stages = project.stages()
    assert [stage.name for stage in stages] == ["words", "count@lines", "count@bytes", "sum"]
    assert [stage.key.path for stage in stages[:2]] == [["words"], ["lines", "count"]]
    assert (stages[1].kind, stages[1].variant, stages[1].description) == ("count", "lines", "How much there is")


def test_a_dependency_inside_or_around_an_output_names_the_stage_that_writes_it(project: DvcProject) -> None:
    upstream = {stage.name: stage.upstream for stage in project.stages()}
    assert upstream == {
        "words": (),
        "count@lines": ("words",),
        "count@bytes": ("words",),
        "sum": ("count@bytes", "count@lines"),
    }


@pytest.mark.parametrize(
    ("file", "text", "changed"),
    [
        ("words.txt", "three\n", {"words"}),
        ("params.yaml", "scale: 2\n", {"count@lines", "count@bytes"}),
        ("data/words/all.txt", "an output\n", set()),
    ],
)
def test_code_version_follows_source_files_and_params_but_no_data(
    project: DvcProject, file: str, text: str, changed: set[str]
) -> None:
    before = {stage.name: stage.code_version for stage in project.stages()}
    (project.path / file).parent.mkdir(parents=True, exist_ok=True)
    (project.path / file).write_text(text)
    after = {stage.name: stage.code_version for stage in project.stages()}
    assert {name for name in before if before[name] != after[name]} == changed


def test_of_a_progress_bar_few_lines_are_taken_and_of_other_output_all(tmp_path: Path) -> None:
    with _own_session(["printf", r"first\n\r10\r20\r30\r40\rall\nlast"], tmp_path, {}) as process:
        assert list(_lines(process)) == ["first", "10", "all", "last"]


def test_the_folder_of_this_python_comes_first_in_the_path(tmp_path: Path) -> None:
    with _own_session(["sh", "-c", "echo $PATH; echo $EXTRA"], tmp_path, {"EXTRA": "given"}) as process:
        path, extra = _lines(process)
    assert path.split(os.pathsep)[0] == str(Path(sys.executable).parent)
    assert extra == "given"


def test_an_interruption_stops_the_command_too(project: DvcProject) -> None:
    stage = {"cmd": "echo $$ > pid; echo started; sleep 60", "outs": ["out"]}
    (project.path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"slow": stage}}))

    def interrupt_when_started(line: str) -> None:
        if line == "started":
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()

    started_s = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        project.reproduce("slow", SimpleNamespace(info=interrupt_when_started))  # type: ignore[arg-type]
    assert time.monotonic() - started_s < 50
    with pytest.raises(ProcessLookupError):
        os.kill(int((project.path / "pid").read_text()), 0)
