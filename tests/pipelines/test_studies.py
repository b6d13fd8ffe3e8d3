"""The job `study` in a project whose command `cmet` only tells how it was called."""

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


@pytest.fixture
def project(tmp_path: Path) -> DvcProject:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    for name, text in {
        "cmet/__main__.py": PROGRAM,
        "cmet/__init__.py": "",
        "experiments/ablations/mse.yaml": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return DvcProject(root=str(tmp_path))


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


SWEEP = {"sweep": {"layers": ["mse"]}}


@pytest.mark.parametrize("kind", [{}, {"sweep": {"layers": ["msse"]}}, {**SWEEP, "unseen": {}}])
def test_the_form_asks_for_one_kind_and_layers_that_are_there(project: DvcProject, kind: dict) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError):
        launch(project, {"kind": kind})
