"""The stage `judge`, as the command runs it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cmet import closure
from cmet.errors import UserError
from cmet.params import JudgeParams, load_params
from cmet.project import Project
from cmet.stages.registry import run_stage
from cmet.stages.started_with import StartedWith
from tests.unit.conftest import Tiny
from tests.unit.judge.conftest import RELEASED, RESNET, params

PARAMS = Path(__file__).parents[3] / "params.yaml"


@pytest.fixture
def project_with(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[JudgeParams], Project]:
    """Makes a project of the tiny clips, of which two emotions of a sentence are left."""
    monkeypatch.delenv("CMET_WEIGHTS", raising=False)
    rows = tiny.clips.table.query("sentence == '001' and emotion in ('happy', 'sad')")
    tiny.clips_of(rows, tmp_path / "data/clips")
    (tmp_path / "weights/judge").mkdir(parents=True)
    return lambda judge: Project.of(tmp_path, load_params(PARAMS).model_copy(update={"judge": judge}))


def test_a_released_judge_among_the_weights_is_taken_over(
    project_with: Callable[[JudgeParams], Project], save: Callable[..., Path], tmp_path: Path
) -> None:
    save(tmp_path / "weights/judge/released.pth", prefix="base_model.module.")
    project = project_with(params(**RESNET, **RELEASED, checkpoint="released.pth"))
    report = run_stage("judge", project)
    assert (report["num_train_clips"], report["num_val_clips"]) == (0, 2)
    assert project.judge().card.source == "released checkpoint"


def test_a_published_start_is_found_among_the_weights(
    project_with: Callable[[JudgeParams], Project], save: Callable[..., Path], tmp_path: Path
) -> None:
    save(tmp_path / "weights/judge/Resnet18_FER+_pytorch.pth.tar", prefix="module.")
    project = project_with(params(**RESNET, begin_from="emotion-fan-ferplus", batch_size=4))
    assert run_stage("judge", project)["num_train_clips"] == 4
    assert project.judge().card.begin_from == "emotion-fan-ferplus"


def test_a_start_that_is_missing_is_named_before_anything_is_read(
    project_with: Callable[[JudgeParams], Project],
) -> None:
    project = project_with(params(**RESNET, begin_from="emotion-fan-ms1m"))
    with pytest.raises(
        UserError, match=r"Resnet18_MS1M_pytorch.pth.tar .+ is missing in .+ run `cmet weights get emotion-fan-ms1m"
    ):
        run_stage("judge", project)
    assert not project.places.folder("judge").exists()


def test_a_judge_whose_parameters_were_edited_meanwhile_waits_until_they_are_set_back(
    project_with: Callable[[JudgeParams], Project], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, file = project_with(params(num_epochs=1)), tmp_path / "params.yaml"
    text = PARAMS.read_text(encoding="utf-8")
    file.write_text(text)
    run_stage("judge", project)
    files = [project.places.folder("judge") / "judge.json", project.places.metrics_file("judge")]
    old = [path.read_bytes() for path in files]
    project = project_with(params(num_epochs=2))
    started = StartedWith.now(file)
    file.write_text(text.replace("num_epochs: 10", "num_epochs: 3"))
    with pytest.raises(UserError, match=r"judge.num_epochs was 10, is 3\); what is done is kept, so set it back"):
        run_stage("judge", project, None, started)
    assert [path.read_bytes() for path in files] == old
    file.write_text(text)
    monkeypatch.delattr("cmet.judge.training.train_judge")
    run_stage("judge", project, None, started)
    assert project.judge().card.params.num_epochs == 2
    assert not project.places.has_work("judge")


def test_code_that_was_edited_meanwhile_is_named(
    project_with: Callable[[JudgeParams], Project], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "params.yaml").write_text(PARAMS.read_text(encoding="utf-8"))
    edited = Path(closure.__file__).parent / "judge/training.py"
    # as if the process had read something else at its start
    before = closure._content
    monkeypatch.setattr(closure, "_content", lambda file: b"" if file == edited else before(file))
    with pytest.raises(UserError, match=r"meanwhile \(cmet/judge/training.py was edited\)"):
        run_stage("judge", project_with(params(num_epochs=1)), None, StartedWith.now(tmp_path / "params.yaml"))
