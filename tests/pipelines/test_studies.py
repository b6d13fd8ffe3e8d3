"""The job `study` in a project whose command `cmet` only tells how it was called."""

import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from typer.main import get_command

from assets.dvc_project import DvcProject
from cmet.cli import app
from pipelines.studies import study_job

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from pathlib import Path

from PIL import Image

print(sys.argv[1], "run 1 of 2", flush=True)
if "unseen" in sys.argv:
    sys.exit("cmet: data/judge: not there yet; run `dvc repro judge`")
folder = Path("data/sweep/facemesh")
folder.mkdir(parents=True)
(folder / "ablations.md").write_text(" ".join(sys.argv[1:]))
Image.new("RGB", (1800, 600)).save(folder / "ablations.png")
"""

STAGES = """
stages:
  clips:
    cmd: echo clips > clips
    params: [clips.fps]
    outs: [clips]
  train:
    matrix: {backbone: [facemesh]}
    cmd: cat clips > model
    deps: [clips]
    params: [train.num_steps]
    outs: [model]
  evaluate:
    matrix: {backbone: [facemesh]}
    cmd: cat model > scores
    deps: [model]
    outs: [scores]
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which every stage has run."""
    root = tmp_path_factory.mktemp("project")
    (root / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    for name, text in {
        "cmet/__main__.py": PROGRAM,
        "cmet/__init__.py": "",
        "experiments/ablations/mse.yaml": "",
        "dvc.yaml": STAGES,
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for arguments in (["init", "--no-scm", "--quiet"], ["repro", "--quiet"]):
        subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=root, check=True)
    return root


@pytest.fixture
def project(made: Path, tmp_path: Path) -> DvcProject:
    return DvcProject(root=str(shutil.copytree(made, tmp_path / "project")))


def launch(project: DvcProject, form: dict) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral(settings={"telemetry": {"enabled": False}}) as instance:
        return study_job(project.path).execute_in_process(
            form, instance=instance, resources={"project": project}, raise_on_error=False
        )


def test_a_study_is_the_command_and_shows_its_table_and_picture(
    project: DvcProject, capfd: pytest.CaptureFixture[str]
) -> None:
    result = launch(project, {"kind": {"sweep": {"layers": ["mse"], "seeds": [1, 2]}}, "backbone": "facemesh"})
    assert result.success
    assert "run 1 of 2" in capfd.readouterr().err
    [output] = [event for event in result.all_node_events if event.is_successful_output]
    metadata = output.step_output_data.metadata
    _, *arguments = metadata["table"].value.split()
    # the real command takes them
    context = get_command(app).commands["sweep"].make_context("sweep", list(arguments))  # type: ignore[attr-defined]
    assert context.params["layers"] == [Path("experiments/ablations/mse.yaml")]
    assert context.params["seeds"] == [1, 2]
    assert metadata["picture"].value.startswith("![](data:image/png;base64,")


def test_a_study_that_cannot_begin_says_why(project: DvcProject) -> None:
    result = launch(project, {"kind": {"unseen": {"emotions": ["happy"]}}})
    [failure] = [event for event in result.all_node_events if event.is_step_failure]
    assert "run `dvc repro judge`" in failure.step_failure_data.user_failure_data.description


def test_a_study_runs_on_nothing_that_is_out_of_date_but_has_trainings_of_its_own(project: DvcProject) -> None:
    params = project.path / "params.yaml"
    edit(params, "num_steps: 900", "num_steps: 300")
    assert launch(project, {"kind": SWEEP}).success
    edit(params, "fps: 25", "fps: 30")
    [failure] = [event for event in launch(project, {"kind": SWEEP}).all_node_events if event.is_step_failure]
    assert failure.step_failure_data.user_failure_data.description.startswith(
        "the study would mix results: clips is out of date (clips.fps is 30, was 25). Materialize clips"
    )


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


SWEEP = {"sweep": {"layers": ["mse"]}}


@pytest.mark.parametrize("kind", [{}, {"sweep": {"layers": ["msse"]}}, {**SWEEP, "unseen": {}}])
def test_the_form_asks_for_one_kind_and_layers_that_are_there(project: DvcProject, kind: dict) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError):
        launch(project, {"kind": kind})
