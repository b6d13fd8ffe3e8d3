"""What a stage has written before is there until the new is whole: real DVC, real commands."""

import os
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from dvc.exceptions import ReproductionError
from dvc.repo import Repo

from cmet.previous import put_back_previous

ROOT = Path(__file__).parents[1]
STEP, FOLDER, METRICS = "train@facemesh", "data/train/facemesh", "data/metrics/train-facemesh.json"
MADE = (
    f"echo ran >> runs && mkdir -p {FOLDER}/backbone && printf old > {FOLDER}/backbone/basis && echo '{{}}' > {METRICS}"
)


def write_graph(project: Path, command: str) -> None:
    stage = {
        "matrix": {"backbone": ["facemesh"]},
        "cmd": command,
        "params": ["train"],
        "deps": ["shards"],
        "outs": [FOLDER],
        "metrics": [METRICS],
    }
    (project / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"train": stage}}))


def set_steps(project: Path, num_steps: int) -> None:
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    values["train"]["num_steps"] = num_steps
    (project / "params.yaml").write_text(yaml.safe_dump(values))


@pytest.fixture(params=["copy", "hardlink,symlink"])
def project(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one stage that has run with 900 steps."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    (tmp_path / "data/metrics").mkdir(parents=True)
    (tmp_path / "shards").write_text("shards")
    set_steps(tmp_path, 900)
    Repo.init(str(tmp_path), no_scm=True).close()
    (tmp_path / ".dvc/config").write_text(
        f"[core]\n    no_scm = True\n[cache]\n    type = {request.param}\n    dir = ../other\n"
    )
    write_graph(tmp_path, MADE)
    reproduce()
    return tmp_path


def reproduce() -> None:
    with Repo(".") as repo:
        repo.reproduce()


def changed() -> dict:
    with Repo(".") as repo:
        return repo.status()


def test_a_stage_that_fails_leaves_the_old_outputs_and_dvc_calls_it_changed(project: Path) -> None:
    write_graph(project, f"{sys.executable} -m cmet train --backbone facemesh")
    set_steps(project, -5)
    with pytest.raises(ReproductionError):
        reproduce()
    assert (project / FOLDER / "backbone/basis").read_text() == "old"
    assert (project / METRICS).read_text() == "{}\n"
    assert changed()[STEP][0]["changed deps"]["params.yaml"] == {"train": "modified"}
    write_graph(project, MADE)
    set_steps(project, 900)
    assert changed() == {}


def test_what_was_put_back_is_replaced_and_the_run_before_is_found_again(project: Path) -> None:
    fresh = f"rm -r {FOLDER} && mkdir -p {FOLDER} && printf new > {FOLDER}/model && echo '[]' > {METRICS}"
    back = f"{sys.executable} -c 'from cmet.previous import put_back_previous; assert len(put_back_previous()) == 2'"
    write_graph(project, f"{back} && {fresh}")
    set_steps(project, 300)
    reproduce()
    assert sorted(path.name for path in (project / FOLDER).rglob("*")) == ["model"]
    assert changed() == {}
    write_graph(project, MADE)
    set_steps(project, 900)
    reproduce()
    assert (project / FOLDER / "backbone/basis").read_text() == "old"
    # taken from DVC's cache of runs, which has nothing of stages with `persist`
    assert (project / "runs").read_text() == "ran\n"


def test_nothing_is_put_back_that_is_there_or_incomplete_or_another_stages(project: Path) -> None:
    environment = {"DVC_STAGE": STEP, "DVC_ROOT": str(project)}
    assert put_back_previous(environment) == []
    shutil.rmtree(project / FOLDER)
    assert put_back_previous({"DVC_STAGE": "judge", "DVC_ROOT": str(project)}) == []
    assert put_back_previous({}) == []
    cache = project / "other/files/md5"
    [basis] = (path for path in cache.rglob("*") if path.is_file() and path.read_text() == "old")
    [listed] = cache.rglob("*.dir")
    for missing in (basis, listed):
        aside = missing.rename(project / "aside")
        assert put_back_previous(environment) == []
        aside.rename(missing)
    assert put_back_previous(environment) == [project / FOLDER]
