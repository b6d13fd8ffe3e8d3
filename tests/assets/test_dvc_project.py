import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest
import ruamel.yaml
import yaml
from dvc.repo import Repo

from assets.dvc_project import DvcProject, _lines, _own_session
from assets.dvc_state import overlap

ROOT = Path(__file__).parents[2]

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


def test_dvc_reads_its_files_with_the_library_in_c() -> None:
    # every command of DVC and every look at the project reads all of them, and in Python takes five times as long
    assert ruamel.yaml.__with_libyaml__


@pytest.mark.parametrize(
    ("one", "other", "is_shared"),
    [
        ("data/clips", "data/clips", True), ("data/clips/video/", "data/clips", True), ("data", "data/clips", True),
        (".", "data", True), ("/a/data", "/a/data/clips", True), ("data/clips", "data/clip", False),
        ("data", "/data", False), ("data/clips", "cmet/clips", False),
    ],
)  # fmt: skip
def test_paths_overlap_where_one_lies_in_the_other(one: str, other: str, is_shared: bool) -> None:
    assert overlap(one, other) == overlap(other, one) == is_shared


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
    assert [stage.key.path for stage in stages[:2]] == [["words"], ["count_lines"]]
    assert (stages[1].kind, stages[1].variant, stages[1].description) == ("count", "lines", "How much there is")


@pytest.mark.parametrize(("made", "first"), [(["words"], "words@words"), ([], "count@lines")])
def test_a_stage_that_a_list_switches_on_keeps_its_name(project: DvcProject, made: list[str], first: str) -> None:
    words = GRAPH["words"] | {"matrix": {"corpus": "${made}"}}
    (project.path / "dvc.yaml").write_text(yaml.safe_dump({"stages": GRAPH | {"words": words}}, sort_keys=False))
    (project.path / "params.yaml").write_text(yaml.safe_dump({"made": made, "scale": 1}))
    stages = project.stages()
    assert stages[0].name == first
    assert [stage.key.path for stage in stages if stage.kind == "words"] == [["words"]] * len(made)
    assert [stage.arguments for stage in stages if stage.kind == "words"] == [()] * len(made)
    assert {stage.name: stage.upstream for stage in stages}["count@lines"] == (("words@words",) if made else ())


def test_a_dependency_inside_or_around_an_output_names_the_stage_that_writes_it(project: DvcProject) -> None:
    upstream = {stage.name: stage.upstream for stage in project.stages()}
    assert upstream == {
        "words": (),
        "count@lines": ("words",),
        "count@bytes": ("words",),
        "sum": ("count@bytes", "count@lines"),
    }


def test_what_a_stage_stands_on_is_named_unless_a_stage_writes_it_or_it_is_code(project: DvcProject) -> None:
    words = GRAPH["words"] | {"deps": ["words.txt", "cmet/words.py"]}
    (project.path / "dvc.yaml").write_text(yaml.safe_dump({"stages": GRAPH | {"words": words}}, sort_keys=False))
    found = {stage.name: (stage.sources, stage.code) for stage in project.stages()}
    assert found["words"] == (("words.txt",), ("cmet/words.py",))
    assert found["count@lines"] == (("params.yaml:scale",), ())
    assert found["sum"] == ((), ())


def test_of_a_line_that_was_rewritten_the_last_text_is_taken_and_of_other_output_all(tmp_path: Path) -> None:
    with _own_session(["printf", r"first\r\n\r10\r20\r30\r40\rall\r\n\nlast"], tmp_path, {}) as process:
        assert list(_lines(process)) == ["first", "all", "last"]


def test_a_line_is_taken_as_soon_as_it_is_there(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "go")
    with _own_session(["sh", "-c", "echo one; read -r _ < go; echo two"], tmp_path, {}) as process:
        lines = _lines(process)
        assert next(lines) == "one"
        (tmp_path / "go").write_text("\n")
        assert list(lines) == ["two"]


def test_the_folder_of_this_python_comes_first_in_the_path(tmp_path: Path) -> None:
    with _own_session(["sh", "-c", "echo $PATH; echo $EXTRA"], tmp_path, {"EXTRA": "given"}) as process:
        path, extra = _lines(process)
    assert path.split(os.pathsep)[0] == str(Path(sys.executable).parent)
    assert extra == "given"


def test_an_interruption_stops_the_command_too(project: DvcProject) -> None:
    stage = {"cmd": "echo $$ > pid; echo started; sleep 600", "outs": ["out"]}
    (project.path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"slow": stage}}))

    def interrupt_when_started(line: str) -> None:
        if line == "started":
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()

    with pytest.raises(KeyboardInterrupt):
        project.reproduce("slow", SimpleNamespace(info=interrupt_when_started))  # type: ignore[arg-type]
    with pytest.raises(ProcessLookupError):
        os.kill(int((project.path / "pid").read_text()), 0)


def failure_of(project: DvcProject, name: str) -> str:
    with pytest.raises(dg.Failure) as caught:
        project.reproduce(name, logging.getLogger())
    return str(caught.value.description)


def test_a_failure_begins_with_the_sentence_of_the_command(project: DvcProject) -> None:
    stage = {"cmd": "echo working; echo 'cmet: there are no words' >&2; exit 2", "outs": ["out"]}
    (project.path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"words": stage}}))
    first, *tail = failure_of(project, "words").splitlines()
    assert first == "there are no words"
    assert "working" in tail


def test_a_bad_value_is_said_before_anything_is_deleted(project: DvcProject) -> None:
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    values["train"]["num_steps"] = -5
    (project.path / "params.yaml").write_text(yaml.safe_dump(values))
    stage = {"cmd": "true", "params": ["train"], "outs": ["data/judge"]}
    (project.path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"judge": stage}}))
    (project.path / "data").mkdir()
    (project.path / "data/judge").write_text("the old one")
    assert re.match(r"\S+params\.yaml: 1 bad value\(s\)\n  train\.num_steps: ", failure_of(project, "judge"))
    assert (project.path / "data/judge").read_text() == "the old one"


SLOW = "echo working > started; until test -e go; do sleep 0.05; done; cat words.txt > "


def test_a_stage_waits_for_a_terminal_that_is_at_work_above_it_and_says_so(project: DvcProject) -> None:
    stages = {
        "words": {"cmd": f"{SLOW} words", "deps": ["words.txt"], "outs": ["words"]},
        "count": {"cmd": "wc < words > count", "deps": ["words"], "outs": ["count"]},
    }
    (project.path / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    lines: list[str] = []

    def note(line: str) -> None:
        lines.append(line)
        if line.startswith("Waiting"):
            (project.path / "go").touch()

    with subprocess.Popen([sys.executable, "-m", "dvc", "repro", "-q", "words"], cwd=project.path) as terminal:
        try:
            while not (project.path / "started").exists():
                time.sleep(0.05)
            project.reproduce("count", SimpleNamespace(info=note))  # type: ignore[arg-type]
        finally:
            (project.path / "go").touch()
    assert terminal.returncode == 0
    assert re.fullmatch(rf"Waiting for process {terminal.pid}, which is at work here: dvc repro -q words", lines[0])
    assert (project.path / "count").exists()


def test_a_lock_file_that_is_being_written_is_waited_for(project: DvcProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.path)
    with Repo(str(project.path)) as repo:
        repo.reproduce(all_pipelines=True)
    whole = (project.path / "dvc.lock").read_text()
    for half in ("", "schema: '2.0'\nstages:\n  words:\n    cmd"):
        (project.path / "dvc.lock").write_text(half)
        writer = threading.Timer(0.3, (project.path / "dvc.lock").write_text, [whole])
        writer.start()
        assert not any(state.changes for state in project.look().states.values())
        writer.join()
