"""A project opens what its stages have left, wherever that lies."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from cmet.errors import UserError
from cmet.params import Params
from cmet.project import Project
from cmet.stages.registry import STAGES
from tests.unit.conftest import ROOT

PRODUCTS: dict[str, Callable[[Project], object]] = {
    "sample": lambda project: project.sample(),
    "manifest": lambda project: project.manifest(),
    "clips": lambda project: project.clips(),
    "speech@opensmile": lambda project: project.voices("opensmile"),
    "directions": lambda project: project.directions(),
    "expression@facemesh": lambda project: project.faces("facemesh"),
    "deltas@facemesh": lambda project: project.pairs("facemesh"),
    "shards@facemesh": lambda project: project.shards("facemesh"),
    "train@facemesh": lambda project: project.model("facemesh"),
    "judge": lambda project: project.judge(),
    "edits@facemesh": lambda project: project.edits("facemesh"),
    "timing@facemesh": lambda project: project.timing("facemesh"),
    "evaluate@facemesh": lambda project: project.scores("facemesh"),
    "report": lambda project: project.report(),
}


@pytest.fixture
def project(tmp_path: Path, params: Params) -> Project:
    return Project.of(tmp_path, params)


def test_every_stage_leaves_a_product() -> None:
    assert [stage.partition("@")[0] for stage in PRODUCTS] == list(STAGES)


@pytest.mark.parametrize("stage", PRODUCTS)
def test_opening_what_is_not_there_says_which_stage_to_run(project: Project, stage: str) -> None:
    with pytest.raises(UserError, match=f": not there yet; run `dvc repro {stage}`$"):
        PRODUCTS[stage](project)


def test_voices_are_those_that_deltas_are_made_of_unless_others_are_named(project: Project) -> None:
    folder = project.places.folder("speech", project.params.deltas.speech_encoder)
    folder.mkdir(parents=True)
    pd.DataFrame({"clip_id": ["a"], "embedding": [[1.0, 2.0]]}).to_parquet(folder / "embeddings.parquet")
    assert project.voices().of(["a"]).tolist() == [[1, 2]]
    with pytest.raises(UserError, match="run `dvc repro speech@wavlm-base`"):
        project.voices("wavlm-base")


def test_stages_that_lie_elsewhere_are_opened_there(project: Project, tmp_path: Path) -> None:
    fold = project.with_stages_in(tmp_path / "fold", ["train"], "facemesh", "unseen/sad")
    (tmp_path / "fold/train").mkdir(parents=True)
    (tmp_path / "fold/train/config.json").touch()
    assert fold.model("facemesh").folder == tmp_path / "fold/train"
    with pytest.raises(UserError, match="run `dvc repro train@facemesh`"):
        project.model("facemesh")


def test_a_project_is_where_its_parameters_are_and_its_corpus_as_they_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, params: Params
) -> None:
    (tmp_path / "project").mkdir()
    # JSON is YAML
    (tmp_path / "project/params.yaml").write_text(params.model_dump_json())
    monkeypatch.delenv("CMET_WEIGHTS", raising=False)
    monkeypatch.chdir(tmp_path)
    project = Project.at("project/params.yaml")
    assert (project.root, project.params) == (tmp_path / "project", params)
    assert project.places.corpus == tmp_path / "project" / params.manifest.root
    assert project.places.weights == tmp_path / "project/weights"


OPENED = """
import sys
import cmet.cli
import cmet.report.printed
from cmet.errors import UserError
from cmet.project import Project

project = Project.at("params.yaml")
try:
    project.report()
except UserError:
    pass
# what `cmet summary` needs
print(sorted({"numpy", "pandas"} & set(sys.modules)))
for name in ("sample", "manifest", "clips", "voices", "directions", "judge", "report"):
    try:
        getattr(project, name)()
    except UserError:
        pass
for name in ("faces", "pairs", "shards", "model", "edits", "timing", "scores"):
    try:
        getattr(project, name)("facemesh")
    except UserError:
        pass
print(sorted({"torch", "mlflow", "mediapipe", "av", "cv2", "matplotlib", "webdataset"} & set(sys.modules)))
"""


def test_products_wait_for_no_heavy_library() -> None:
    done = subprocess.run([sys.executable, "-c", OPENED], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n[]\n", "")


@pytest.mark.parametrize("name", ["loop", "a" * 300])
def test_a_name_that_leads_nowhere_is_one_sentence(name: str, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UserError, match=f"{name}: cannot be looked at"):
        Project.at(tmp_path / name)
