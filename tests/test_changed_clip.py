"""After everything was made, a recording that changes costs the work on one clip: real DVC, real commands."""

import hashlib
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

from cmet.corpora.sample.corpus import list_clips, render_clip
from cmet.experiments import use_experiment
from cmet.params import Params
from cmet.project import Project
from cmet.stages.registry import run_stage
from tests.clip_maps import without_workers

ROOT = Path(__file__).parents[1]
NUM_CLIPS = 6
STEPS = {
    "manifest": ("manifest", "data/manifest"),
    "clips": ("clips", "data/clips"),
    "expression": ("expression --backbone facemesh", "data/expression/facemesh"),
}


@pytest.fixture(scope="module")
def videos(params: Params, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One more than the corpus has."""
    folder = tmp_path_factory.mktemp("videos")
    jobs = list_clips(params.sample, seed=3)[: NUM_CLIPS + 1]
    for job in jobs:
        render_clip(job, folder)
    return [folder / f"{job['clip_id']}.mp4" for job in jobs]


@pytest.fixture
def project(videos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table of recordings, of which all is made."""
    project = tmp_path / "project"
    (project / "recordings").mkdir(parents=True)
    monkeypatch.chdir(project)
    rows = "video,speaker,emotion\n"
    for number, video in enumerate(videos[:NUM_CLIPS]):
        shutil.copy(video, project / f"recordings/{number}.mp4")
        rows += f"recordings/{number}.mp4,Ann,{'neutral' if number < 1 else 'sad'}\n"
    (project / "clips.csv").write_text(rows)
    use_experiment(ROOT / "experiments/own-recordings.yaml", project / "params.yaml", project / "clips.csv")
    values = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    values["expression"]["num_components"] = 5
    values["clips"] |= {"fps": 5, "detect_stride": 10}
    (project / "params.yaml").write_text(yaml.safe_dump(values))
    graph = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    stages = {}
    for name, (command, out) in STEPS.items():
        deps = [dep for dep in graph[name]["deps"] if not dep.startswith("cmet/") and "weights" not in dep]
        stages[name] = {"cmd": f"{sys.executable} -m cmet {command} 2>> log", "deps": deps, "outs": [out]}
    (project / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    Repo.init(str(project), no_scm=True).close()
    (project / ".dvc/config").write_text("[core]\n    no_scm = True\n[cache]\n    type = copy\n")
    make_whole(project)
    with Repo(str(project)) as repo:
        repo.commit(force=True)
        assert repo.status() == {}
    return project


def make_whole(project: Path) -> None:
    """Make all of it in this process, where commands would take seconds each to import what is here."""
    with without_workers():
        for name in STEPS:
            run_stage(name, Project.at(project / "params.yaml"), "facemesh" if name == "expression" else None)


def reproduced(project: Path) -> str:
    """What the stages say of a `dvc repro`."""
    (project / "log").unlink(missing_ok=True)
    with Repo(str(project)) as repo:
        repo.reproduce()
        assert repo.status() == {}
    return (project / "log").read_text(encoding="utf-8") if (project / "log").exists() else ""


def made(project: Path) -> dict[str, str]:
    """MD5 of all that was made."""
    return {
        path.relative_to(project).as_posix(): hashlib.md5(path.read_bytes()).hexdigest()
        for path in (project / "data").rglob("*")
        if path.is_file() and "metrics" not in path.parts
    }


def test_one_clip_is_made_anew_and_the_bytes_are_those_of_a_whole_run(project: Path, videos: list[Path]) -> None:
    before = made(project)
    shutil.copy(videos[NUM_CLIPS], project / "recordings/2.mp4")
    said = reproduced(project)
    assert f"clips: goes on after {NUM_CLIPS - 1} of {NUM_CLIPS} clips" in said
    assert f"expression facemesh: goes on after {NUM_CLIPS - 1} of {NUM_CLIPS} clips" in said
    after = made(project)
    assert after != before
    for kept in (path for path in (project / ".dvc/cache/files/md5").rglob("*") if path.is_file()):
        digest = hashlib.md5(kept.read_bytes()).hexdigest()
        assert kept.parent.name + kept.name.removesuffix(".dir") == digest, "the cache of DVC was written to"
    for folder in ("data", ".work"):
        shutil.rmtree(project / folder)
    make_whole(project)
    assert made(project) == after
