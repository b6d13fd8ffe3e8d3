import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from dvc.repo import Repo

from assets import dvc_project
from assets.dvc_project import DvcProject, _lines, _own_session

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


@pytest.mark.parametrize(
    ("file", "text", "changed"),
    [
        ("words.txt", "three\n", set()),
        ("data/words/all.txt", "an output\n", set()),
        ("params.yaml", "scale: 2\n", {"count@lines", "count@bytes"}),
        ("dvc.yaml", yaml.safe_dump({"stages": GRAPH}, sort_keys=False).replace("sum", "total"), {"total"}),
    ],
)
def test_code_version_follows_params_and_the_command_but_no_data(
    project: DvcProject, file: str, text: str, changed: set[str]
) -> None:
    before = {stage.name: stage.code_version for stage in project.stages()}
    (project.path / file).parent.mkdir(parents=True, exist_ok=True)
    (project.path / file).write_text(text)
    after = {stage.name: stage.code_version for stage in project.stages()}
    assert {name for name in after if before.get(name) != after[name]} == changed


def test_code_version_follows_the_code_that_a_stage_of_ours_reaches(
    project: DvcProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = {"matrix": {"backbone": ["edtalk", "facemesh"]}, "cmd": "true ${item.backbone}"}
    (project.path / "dvc.yaml").write_text(
        yaml.safe_dump({"stages": GRAPH | {"judge": {"cmd": "true"}, "train": train}})
    )

    def versions(changed: tuple[str, str | None] | None) -> dict[str, str]:
        monkeypatch.setattr(dvc_project, "stage_digest", lambda *stage: "new" if stage == changed else "old")
        return {stage.name: stage.code_version for stage in project.stages()}

    before = versions(None)
    for name, changed in (("judge", ("judge", None)), ("train@edtalk", ("train", "edtalk"))):
        after = versions(changed)
        assert [stage for stage in before if before[stage] != after[stage]] == [name]


READS = """
import sys
from pathlib import Path
from assets.dvc_project import _code_version, _read_stages

stages = _read_stages(Path.cwd())
opened = []
sys.addaudithook(lambda event, about: opened.append(str(about[0])) if event == "open" else None)
versions = [_code_version(stage) for stage in stages]
package = Path("cmet").resolve()
paths = [Path(path).resolve() for path in opened]
others = [path for path in paths if package not in path.parents]
sources = [path for path in paths if package in path.parents and "__pycache__" not in path.parts]
# versions of libraries stand in the metadata of what is installed
root = Path.cwd()
installed = {".venv", "cmet.egg-info"}
ours = {str(path) for path in others if path.is_file() and root in path.parents and not installed & set(path.parts)}
print(len(set(versions)) == len(stages), bool(sources), len(sources) == len(set(sources)), ours)
"""


def test_code_versions_of_all_stages_read_each_file_of_code_once_and_nothing_else() -> None:
    done = subprocess.run([sys.executable, "-c", READS], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("True True True set()\n", "")


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
