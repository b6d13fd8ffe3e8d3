"""Experiments beside a small project of which only the command `cmet` is not the real one."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dvc.repo import Repo

from assets.dvc_project import DvcProject
from assets.experiments import experiment_copy
from assets.snapshots import take_snapshot
from cmet.errors import UserError
from pipelines.experiments import experiment_jobs
from pipelines.forms import parameter_fields

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
    weights = sorted(path.name for path in Path("weights/judge").rglob("*"))
    found = [Path("data/manifest").read_text(), weights, params["train"]["num_steps"], new.CODE, work.read_text()]
    Path("data/model").write_text(" ".join(map(str, found)))
    Path("metrics").mkdir()
    Path("metrics/train.yaml").write_text(yaml.safe_dump(
        {name: os.environ[name] for name in ("DVC_EXP_NAME", "MLFLOW_TRACKING_URI", "DAGSTER_RUN_ID")}))
"""
GRAPH = {
    "manifest": {"cmd": "cmet manifest", "deps": ["recordings"], "outs": ["data/manifest"]},
    "train": {
        "cmd": "cmet train",
        "deps": ["data/manifest", "weights/judge", "cmet"],
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
        ".gitignore": "/data/\n/.work/\n/recordings/\n*.pth\n__pycache__\n",
        "weights/judge/README.md": "",
        "weights/judge/deep/judge.pth": "",
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
    return experiment.execute_in_process(form, instance=instance, resources={"project": project}, raise_on_error=False)


def said(result: dg.ExecuteInProcessResult) -> str:
    [failure] = [event for event in result.all_node_events if event.is_step_failure]
    return failure.step_failure_data.user_failure_data.description


def files(root: Path) -> dict[str, str]:
    """Of the workspace."""
    found = [path for path in root.rglob("*") if not {".git", ".dvc", ".work"} & set(path.relative_to(root).parts)]
    return {str(path): path.read_text() for path in found if path.is_file()}


FORM = {"train": {"num_steps": 5}, "held_out_emotion": None}
NAME = "held_out_emotion=none,train.num_steps=5"


@pytest.fixture(scope="module")
def twice(project: DvcProject, instance: dg.DagsterInstance) -> list[dg.ExecuteInProcessResult]:
    """An experiment that is broken off in the middle of its training, and launched again."""
    before = files(project.path)
    results = [launch(project, instance, FORM), launch(project, instance, FORM)]
    assert files(project.path) == before
    return results


def test_an_experiment_that_is_broken_off_goes_on_and_becomes_one_of_dvc(
    twice: list[dg.ExecuteInProcessResult], project: DvcProject
) -> None:
    root = project.path
    broken, finished = twice
    assert "the power is gone" in said(broken)
    assert finished.success
    reference = git(root, "for-each-ref", "--format=%(refname)", "refs/exps")
    assert reference.endswith(f"/{NAME}")
    params = git(root, "show", f"{reference}:params.yaml")
    assert params.startswith("# How it is done.")
    changed = yaml.safe_load(params)
    assert (changed["train"]["num_steps"], changed["held_out_emotion"], changed["judge"]["num_epochs"]) == (5, None, 9)
    tracked = yaml.safe_load(git(root, "show", f"{reference}:metrics/train.yaml"))
    store = f"sqlite:///{root / 'mlflow.db'}"
    assert tracked == {"DVC_EXP_NAME": NAME, "MLFLOW_TRACKING_URI": store, "DAGSTER_RUN_ID": finished.run_id}
    with Repo(str(root), rev=git(root, "rev-parse", reference)) as experiment:
        model = experiment.dvcfs.read_text("data/model")
    # corpus and weights beside git, code that git does not know yet, and the step that the first run had reached
    assert model == "one.mp4 two.mp4 ['README.md', 'deep', 'judge.pth'] 5 of the form 3"


def test_nothing_of_an_experiment_stays_beside_its_result(
    twice: list[dg.ExecuteInProcessResult], project: DvcProject, instance: dg.DagsterInstance
) -> None:
    assert [
        path for path in (project.path / ".work").rglob("*") if path.name not in {"experiments", "copies", "unsent"}
    ] == []
    assert instance.get_runs()[0].tags["cmet/experiment"] == NAME


def test_a_copy_that_a_kill_has_left_is_removed_and_its_work_is_kept(project: DvcProject) -> None:
    taken = take_snapshot(project.path, {}, "other")
    left = project.path / ".work/copies/killed/data"
    left.mkdir(parents=True)
    work = project.path / ".work/experiments/killed/train/step"
    work.parent.mkdir(parents=True)
    work.write_text("7")
    with experiment_copy(project.path, taken) as copy:
        assert not left.exists()
        assert (copy / "recordings/one.mp4").exists()
        assert work.read_text() == "7"
        with (
            pytest.raises(UserError, match="experiment other: another run .* is at work"),
            experiment_copy(project.path, taken),
        ):
            pass
        assert copy.exists()
    assert not copy.exists()


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"train": {"num_steps": -5}}, r"experiment: 1 bad value\(s\)\n  train\.num_steps: .* \(got -5\)"),
        ({"name": "a b"}, "experiment 'a b': git cannot keep that name"),
        (
            {"name": NAME, "seed": 8},
            f"experiment {NAME}: there is one of that name, with .*train.num_steps 5.*another name",
        ),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_runs(
    twice: list[dg.ExecuteInProcessResult],
    project: DvcProject,
    instance: dg.DagsterInstance,
    form: dict,
    message: str,
) -> None:
    result = launch(project, instance, form)
    assert re.search(message, said(result))
    assert not list((project.path / ".work/copies").iterdir())


@pytest.mark.parametrize("form", [{"train": {"num_steps": "many"}}, {"trian": {}}, {"held_out_emotion": "hapy"}])
def test_the_form_knows_keys_types_and_allowed_values(
    project: DvcProject, instance: dg.DagsterInstance, form: dict
) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError):
        launch(project, instance, form)


def test_the_form_says_what_a_parameter_means_may_be_and_is() -> None:
    fields = parameter_fields({"train": {"batch_size": 32, "patience": None}})
    train = fields["train"].config_type.fields  # type: ignore[attr-defined]
    assert train["batch_size"].description == "Samples per step, over all processes. Above 0. Now 32."
    assert train["patience"].description.endswith("null trains for all steps. Above 0. Now null.")
    assert "Now" not in fields["seed"].description


def test_a_download_says_that_experiments_need_git(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    result = launch(DvcProject(root=str(write_project(tmp_path))), instance, {})
    assert "experiments need git" in said(result)


def test_each_emotion_has_a_partition_that_leaves_it_out(project: DvcProject) -> None:
    [_, held_out] = experiment_jobs(project.path)
    config = held_out.partitioned_config
    assert config
    assert "happy" in config.get_partition_keys()
    form = {"name": "held_out_emotion=happy", "held_out_emotion": "happy"}
    assert config.get_run_config_for_partition_key("happy") == {"ops": {"snapshot": {"config": form}}}
