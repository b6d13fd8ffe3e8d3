"""Experiments beside a small project of which only the command `cmet` is not the real one."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dvc.repo import Repo

from assets.dvc_project import DvcProject
from pipelines.experiments import experiment_jobs

ROOT = Path(__file__).parents[2]
SETTINGS = {"telemetry": {"enabled": False}}

PROGRAM = """
import os, sys
from pathlib import Path
from cmet import new

import yaml

def main():
    name = sys.argv[1]
    params = yaml.safe_load(Path("params.yaml").read_text())
    Path("data").mkdir(exist_ok=True)
    if name == "manifest":
        Path("data/manifest").write_text(" ".join(sorted(path.name for path in Path("recordings").iterdir())))
        return
    work = Path(".work/train/step")
    if not work.exists():
        work.parent.mkdir(parents=True)
        work.write_text("3")
        sys.exit("cmet: the power is gone")
    print("goes on from step", work.read_text(), "with code", new.CODE)
    Path("data/model").write_text(f"{Path('data/manifest').read_text()} {params['train']['num_steps']} {new.CODE}")
    Path("metrics").mkdir()
    Path("metrics/train.yaml").write_text(yaml.safe_dump(
        {name: os.environ[name] for name in ("DVC_EXP_NAME", "MLFLOW_TRACKING_URI", "DAGSTER_RUN_ID")}))
"""
GRAPH = {
    "manifest": {"cmd": "cmet manifest", "deps": ["recordings"], "outs": ["data/manifest"]},
    "train": {
        "cmd": "cmet train",
        "deps": ["data/manifest", "cmet"],
        "params": ["train"],
        "outs": ["data/model"],
        "metrics": [{"metrics/train.yaml": {"cache": False}}],
    },
}


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def write_project(root: Path) -> Path:
    """Recordings and unfinished work beside git, and code that git does not know yet."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["manifest"] |= {"corpus": "mead", "root": "recordings", "files": "recordings"}
    files = {
        "params.yaml": "# How it is done.\n" + yaml.safe_dump(values | {"made_corpora": []}),
        "dvc.yaml": yaml.safe_dump({"stages": GRAPH}),
        "cmet/__init__.py": "",
        "cmet/__main__.py": PROGRAM,
        ".gitignore": "/data/\n/.work/\n/recordings/\n__pycache__\n",
        "recordings/one.mp4": "",
        "recordings/two.mp4": "",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> DvcProject:
    root = write_project(tmp_path_factory.mktemp("a project"))
    git(root, "init", "-q")
    git(root, "config", "user.name", "Ann")
    git(root, "config", "user.email", "ann@example.com")
    Repo.init(str(root)).close()
    git(root, "add", ".")
    git(root, "commit", "-qm", "begin")
    (root / "cmet/new.py").write_text("CODE = 'of the form'\n")
    (root / "params.yaml").write_text((root / "params.yaml").read_text().replace("num_epochs: 10", "num_epochs: 9"))
    return DvcProject(root=str(root))


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral(settings=SETTINGS) as instance:
        yield instance


def launch(project: DvcProject, instance: dg.DagsterInstance, form: dict) -> dg.ExecuteInProcessResult:
    [experiment, _] = experiment_jobs(project.path)
    return experiment.execute_in_process(
        form, instance=instance, resources={"project": project}, raise_on_error=False
    )


def said(result: dg.ExecuteInProcessResult) -> str:
    [failure] = [event for event in result.all_node_events if event.is_step_failure]
    return str(failure.step_failure_data.user_failure_data)


def files(root: Path) -> dict[str, str]:
    """What an experiment must leave alone."""
    return {
        str(path.relative_to(root)): path.read_text()
        for path in root.rglob("*")
        if path.is_file() and not {".git", ".work", "tmp", "cache", "__pycache__"} & set(path.relative_to(root).parts)
    }


FORM = {"train": {"num_steps": 5}, "held_out_emotion": None}


@pytest.fixture(scope="module")
def twice(project: DvcProject, instance: dg.DagsterInstance) -> list[dg.ExecuteInProcessResult]:
    """An experiment that is broken off in the middle of its training, and launched again."""
    return [launch(project, instance, FORM), launch(project, instance, FORM)]


def test_an_experiment_goes_on_where_it_was_broken_off(
    twice: list[dg.ExecuteInProcessResult], project: DvcProject
) -> None:
    assert "the power is gone" in said(twice[0])
    assert twice[1].success
