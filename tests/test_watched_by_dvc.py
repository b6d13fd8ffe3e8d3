"""What DVC itself says of the files that stages read, by the dependencies of this repository's dvc.yaml."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.repo import Repo

from cmet.experiments import use_experiment
from cmet.project import Project
from cmet.stages.registry import run_stage
from cmet.weights.linking import link_elsewhere

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def in_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DVC names stages and runs commands from the current folder."""
    monkeypatch.chdir(tmp_path)


def write_graph(project: Path, *names: str) -> None:
    """Some stages as they are, but for code, of which the project has none, and with outputs of one byte."""
    graph = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    stages: dict[str, dict[str, Any]] = {}
    for name in names:
        stage = graph["stages"][name]
        [out], [metrics] = stage["outs"], stage["metrics"]
        stages[name] = stage | {
            "cmd": f"mkdir -p {out} data/metrics && printf x > {out}/x && printf 1 > {metrics}",
            "deps": [place for place in stage["deps"] if not place.startswith("cmet/")],
        }
    (project / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}), encoding="utf-8")
    shutil.copy(ROOT / "versions.yaml", project)
    Repo.init(str(project), no_scm=True).close()


def reproduce(project: Path) -> None:
    """`dvc repro`, after which nothing is left to do."""
    with Repo(str(project)) as repo:
        repo.reproduce()
    assert changed(project) == {}


def changed(project: Path) -> dict[str, set[str]]:
    """What `dvc status` names: the changed dependencies of each stage."""
    with Repo(str(project)) as repo:
        status = repo.status()
    return {
        stage: {place for part in parts if isinstance(part, dict) for place in part.get("changed deps", ())}
        for stage, parts in status.items()
    }


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A project of a table and two recordings, one of them a link."""
    for folder in ("recordings", "weights/speech"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "recordings/1.mp4").write_text("one")
    (tmp_path / "elsewhere.mp4").write_text("two")
    (tmp_path / "recordings/2.mp4").symlink_to(tmp_path / "elsewhere.mp4")
    rows = "".join(f"recordings/{number}.mp4,Ann,sad\n" for number in (1, 2))
    (tmp_path / "clips.csv").write_text("video,speaker,emotion\n" + rows)
    use_experiment(ROOT / "experiments/own-recordings.yaml", tmp_path / "params.yaml", tmp_path / "clips.csv")
    write_graph(tmp_path, "manifest", "clips", "speech")
    reproduce(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["recordings/1.mp4", "elsewhere.mp4"])
def test_a_changed_video_of_a_table_is_seen_by_every_stage_that_reads_it(table: Path, name: str) -> None:
    (table / name).write_text("another")
    expected = dict.fromkeys(("manifest", "clips", "speech@opensmile"), {"recordings"})
    assert changed(table) == expected


def test_the_table_is_seen_too_and_a_file_that_no_stage_would_see_is_left_out(table: Path) -> None:
    (table / "1.mp4").touch()
    with (table / "clips.csv").open("a") as file:
        file.write("1.mp4,Ann,sad\n")
    assert changed(table)["manifest"] == {"clips.csv"}
    project = Project.at(table / "params.yaml")
    report = run_stage("manifest", project)
    assert (report["num_clips"], report["quarantined_by_reason"]) == (3, {"outside_root": 1})


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What CMET_WEIGHTS names: a judge and a model of emotion2vec, for a project that has reproduced two stages."""
    store = tmp_path / "store"
    for name in ("emotion2vec_plus_large/model.pt", "judge/Emotion-FAN_MEAD.pth"):
        path = store / name
        path.parent.mkdir(parents=True)
        path.write_text("weights")
    monkeypatch.setenv("CMET_WEIGHTS", str(store))
    for name in ("TORCH_HOME", "MODELSCOPE_CACHE", "HF_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "no-cache"))
    for folder in ("data/sample/corpus", "data/clips"):
        (tmp_path / folder).mkdir(parents=True)
    use_experiment(ROOT / "experiments/sample.yaml", tmp_path / "params.yaml", None)
    write_graph(tmp_path, "speech", "judge")
    link_elsewhere(tmp_path)
    reproduce(tmp_path)
    return store


@pytest.mark.parametrize(
    ("name", "stage", "home"),
    [
        ("emotion2vec_plus_large/model.pt", "speech@opensmile", "weights/speech"),
        ("judge/Emotion-FAN_MEAD.pth", "judge", "weights/judge"),
    ],
)
def test_changed_weights_outside_of_the_project_are_seen(
    store: Path, tmp_path: Path, name: str, stage: str, home: str
) -> None:
    (store / name).write_text("others")
    assert changed(tmp_path) == {stage: {home}}
    (store / name).unlink()
    link_elsewhere(tmp_path)
    assert changed(tmp_path) == {stage: {home}}


def test_weights_that_come_are_seen_after_the_next_command(store: Path, tmp_path: Path) -> None:
    (store / "wavlm_base.pth").write_text("weights")
    assert changed(tmp_path) == {}
    link_elsewhere(tmp_path)
    assert changed(tmp_path) == {"speech@opensmile": {"weights/speech"}}


def test_it_makes_no_difference_to_dvc_where_weights_lie(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CMET_WEIGHTS")
    link_elsewhere(tmp_path)
    assert changed(tmp_path).keys() == {"speech@opensmile", "judge"}
    (store / "emotion2vec_plus_large").rename(tmp_path / "weights/speech/emotion2vec_plus_large")
    (store / "judge/Emotion-FAN_MEAD.pth").rename(tmp_path / "weights/judge/Emotion-FAN_MEAD.pth")
    link_elsewhere(tmp_path)
    assert changed(tmp_path) == {}
