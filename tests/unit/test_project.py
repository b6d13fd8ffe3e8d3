"""Where a project keeps its outputs, also those of stages that lie elsewhere."""

from pathlib import Path

import pytest

from cmet.errors import UserError
from cmet.params import Params
from cmet.project import Project

ASIDE = "unseen/facemesh/sad"


@pytest.fixture
def project(tmp_path: Path, params: Params) -> Project:
    return Project(tmp_path, params)


@pytest.fixture
def fold(project: Project) -> Project:
    """The project with its training in a folder of its own."""
    return project.with_stages_in(project.root / "data/unseen/facemesh/sad", ["shards", "train"], "facemesh", ASIDE)


def test_stages_lie_in_data_by_their_names(project: Project, tmp_path: Path) -> None:
    assert project.folder("train", "facemesh") == tmp_path / "data/train/facemesh"
    assert project.metrics_file("train", "facemesh") == tmp_path / "data/metrics/train-facemesh.json"
    assert project.folder("clips") == tmp_path / "data/clips"


def test_some_stages_of_one_backbone_may_lie_elsewhere(fold: Project, project: Project, tmp_path: Path) -> None:
    assert fold.folder("train", "facemesh") == tmp_path / "data/unseen/facemesh/sad/train"
    assert fold.metrics_file("train", "facemesh") == tmp_path / "data/unseen/facemesh/sad/train.json"
    for stage, variant in (("train", "edtalk"), ("deltas", "facemesh"), ("clips", None)):
        assert fold.folder(stage, variant) == project.folder(stage, variant)
        assert fold.metrics_file(stage, variant) == project.metrics_file(stage, variant)


def test_more_stages_may_lie_in_yet_another_folder(fold: Project, tmp_path: Path) -> None:
    run = fold.with_stages_in(tmp_path / "out", ["train"], "facemesh", f"{ASIDE}/seed-1")
    assert run.folder("train", "facemesh") == tmp_path / "out/train"
    assert run.folder("shards", "facemesh") == fold.folder("shards", "facemesh")


def test_unfinished_work_of_one_does_not_clear_away_that_of_the_other(fold: Project, project: Project) -> None:
    params = project.params
    own = project.work("train", params.train, [], "facemesh", "sad")
    other = fold.work("train", params.train, [], "facemesh", "happy")
    assert own.is_dir()
    assert other.is_dir()
    assert other.is_relative_to(project.root / ".work" / ASIDE)
    # of one project, the work for other facts is cleared away
    project.work("train", params.train, [], "facemesh", "angry")
    assert not own.exists()


def test_the_same_stage_may_be_at_work_in_both(fold: Project, project: Project) -> None:
    with (
        project.only_run("train", "facemesh"),
        fold.only_run("train", "facemesh"),
        pytest.raises(UserError, match="train-facemesh: another run of this stage is at work"),
        fold.only_run("train", "facemesh"),
    ):
        pass


def test_a_missing_output_is_named_by_its_path_in_the_project(fold: Project, project: Project) -> None:
    with pytest.raises(UserError, match=r"^data/clips/clips\.parquet: not there yet; run `dvc repro clips`"):
        project.written("clips", "clips.parquet")
    with pytest.raises(UserError, match=r"^data/unseen/facemesh/sad/train/config\.json: not there yet"):
        fold.written("train", "config.json", "facemesh")


def test_inputs_outside_the_project_are_called_by_their_whole_path(project: Project, tmp_path: Path) -> None:
    inside, outside = tmp_path / "data/a", tmp_path.parent / f"{tmp_path.name}-outside"
    inside.parent.mkdir()
    for path in (inside, outside):
        path.write_text("same")
    digests = project.digests(inside, outside)
    assert list(digests) == ["data/a", outside.as_posix()]
    assert len(set(digests.values())) == 1
