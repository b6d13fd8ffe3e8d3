"""What DVC itself says of the files that stages read, by the dependencies of this repository's dvc.yaml."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.repo import Repo

from cmet.errors import UserError
from cmet.experiments import use_experiment
from cmet.launching import wanted_launch
from cmet.objects.renewing import renew_inventory
from cmet.project import Project
from cmet.stages.registry import STAGES, run_stage
from cmet.weights.registry import HOMES

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def in_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the project: DVC names stages and runs commands from the current one."""
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    monkeypatch.delenv("CMET_WEIGHTS", raising=False)
    return project


def write_graph(project: Path, *names: str) -> None:
    """Some stages as they are, but for code, of which the project has none, and with outputs of one byte."""
    graph = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    stages: dict[str, dict[str, Any]] = {}
    for name in names:
        stage = graph["stages"][name]
        out, report = stage["outs"]
        stages[name] = stage | {
            "cmd": f"mkdir -p {out} data/metrics && printf x > {out}/x && printf 1 > {report}",
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
def table(in_project: Path) -> Path:
    """A project of a table and two recordings, one of them a link."""
    for folder in ("recordings", *(f"weights/{home}" for home in HOMES)):
        (in_project / folder).mkdir(parents=True)
    (in_project / "recordings/1.mp4").write_text("one")
    (in_project / "elsewhere.mp4").write_text("two")
    (in_project / "recordings/2.mp4").symlink_to(in_project / "elsewhere.mp4")
    rows = "".join(f"recordings/{number}.mp4,Ann,sad\n" for number in (1, 2))
    (in_project / "clips.csv").write_text("video,speaker,emotion\n" + rows)
    use_experiment(ROOT / "experiments/own-recordings.yaml", in_project / "params.yaml", in_project / "clips.csv")
    write_graph(in_project, "manifest", "clips", "speech")
    reproduce(in_project)
    return in_project


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
def store(tmp_path: Path) -> Path:
    """The folder of weights that params.yaml names, outside of a project that has reproduced three stages."""
    project, store = tmp_path / "project", tmp_path / "store"
    for folder in ("data/sample/corpus", "data/clips", "data/shards/facemesh", "data/expression/facemesh/model", store):
        (project / folder).mkdir(parents=True)
    use_experiment(ROOT / "experiments/sample.yaml", project / "params.yaml", None, weights=store)
    (store / "speech/emotion2vec_plus_large").mkdir()
    (store / "speech/emotion2vec_plus_large/model.pt").write_text("weights")
    (tmp_path / "mine.pth").write_text("weights")
    (store / "judge/linked.pth").symlink_to(tmp_path / "mine.pth")
    write_graph(project, "speech", "judge", "train")
    reproduce(project)
    return store


def test_weights_outside_of_the_project_are_seen_when_they_come_change_and_go(store: Path, in_project: Path) -> None:
    known, link = "speech/emotion2vec_plus_large/model.pt", "judge/linked.pth"
    new = "connector/_epoch_2105_checkpoint_step000200000.pth"
    everything = {
        "speech@opensmile": {str(store / "speech")},
        "judge": {str(store / "judge")},
        "train@facemesh": {str(store / "connector")},
    }
    for name in (known, link, new):
        (store / name).write_text("others")
    assert changed(in_project) == everything
    reproduce(in_project)
    for name in (known, link, new):
        (store / name).unlink()
    assert changed(in_project) == everything


def test_another_folder_of_weights_is_seen(store: Path, in_project: Path) -> None:
    (store.parent / "other").mkdir()
    use_experiment(ROOT / "experiments/sample.yaml", Path("params.yaml"), None, weights=store.parent / "other")
    assert changed(in_project).keys() == {"speech@opensmile", "judge", "train@facemesh"}


def test_a_stage_reads_what_params_name_and_tells_of_what_the_variable_names(
    store: Path, in_project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = store.parent / "elsewhere"
    (elsewhere / "judge").mkdir(parents=True)
    monkeypatch.setenv("CMET_WEIGHTS", str(elsewhere))
    values = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    values["judge"] |= {"network": "resnet18", "begin_from": "emotion-fan-ferplus"}
    Path("params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    file = "Resnet18_FER+_pytorch.pth.tar"
    for has_file in (False, True):
        if has_file:
            (elsewhere / "judge" / file).touch()
        with pytest.raises(UserError, match="clips.parquet: not there yet"):
            run_stage("judge", Project.at("params.yaml"))
        said = f"CMET_WEIGHTS names {elsewhere}, which holds judge/{file}, but stages read {store}, which DVC watches"
        assert (said in capsys.readouterr().err) == has_file


@pytest.mark.parametrize(("experiment", "made"), [("sample", ["sample@sample"]), ("ravdess", [])])
def test_a_corpus_from_elsewhere_does_not_make_the_sample(in_project: Path, experiment: str, made: list[str]) -> None:
    corpus = in_project.parent / "corpus" if experiment == "ravdess" else None
    if corpus:
        corpus.mkdir()
    use_experiment(ROOT / f"experiments/{experiment}.yaml", in_project / "params.yaml", corpus)
    shutil.copy(ROOT / "dvc.yaml", in_project)
    shutil.copy(ROOT / "versions.yaml", in_project)
    Repo.init(str(in_project), no_scm=True).close()
    with Repo(str(in_project)) as repo:
        names = [stage.addressing for stage in repo.index.stages]
    assert "manifest" in names
    assert [name for name in names if name.startswith("sample")] == made


def test_on_how_many_machines_training_runs_is_watched_by_nothing(
    store: Path, in_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work() -> Path:
        project = Project.at(in_project / "params.yaml")
        return project.places.work("train", "facemesh", project.params.train, [])

    before = work()
    for variable, value in {"PET_NNODES": "2", "PET_RDZV_ENDPOINT": "a:1", "PET_NPROC_PER_NODE": "8"}.items():
        monkeypatch.setenv(variable, value)
    launch = wanted_launch(STAGES["train"].num_shares(Project.at(in_project / "params.yaml").params))
    assert launch is not None and (launch.max_nodes, launch.nproc_per_node) == (2, 8)
    assert changed(in_project) == {}
    # interrupted work goes on elsewhere, too
    assert work() == before


@pytest.fixture
def inventory(in_project: Path, tmp_path: Path) -> Path:
    """A project whose corpus is listed in an inventory; a folder stands for the object store."""
    for home in HOMES:
        (in_project / "weights" / home).mkdir(parents=True)
    for number in (1, 2):
        path = tmp_path / f"store/M003/front/angry/level_1/00{number}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{number}")
    inventory = in_project / "mead.inventory"
    renew_inventory(inventory, f"file://{tmp_path}/store")
    use_experiment(ROOT / "experiments/mead-facemesh.yaml", in_project / "params.yaml", inventory)
    write_graph(in_project, "manifest", "clips", "speech")
    reproduce(in_project)
    return inventory


def test_a_changed_object_is_seen_once_the_inventory_is_renewed(
    inventory: Path, in_project: Path, tmp_path: Path
) -> None:
    renew_inventory(inventory)
    assert changed(in_project) == {}
    (tmp_path / "store/M003/front/angry/level_1/001.mp4").write_text("another one")
    renew_inventory(inventory)
    assert {name: places & {"mead.inventory"} for name, places in changed(in_project).items()} == dict.fromkeys(
        ("manifest", "clips", "speech@precomputed"), {"mead.inventory"}
    )


def test_the_clips_of_an_inventory_are_in_the_manifest(inventory: Path, in_project: Path) -> None:
    report = run_stage("manifest", Project.at(in_project / "params.yaml"))
    assert (report["num_clips"], report["num_quarantined"]) == (2, 0)
