"""Sweeps of training alone on a small world; tests/test_whole_line.py has one with edits."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from cmet.commands.sweep import ManySeeds
from cmet.errors import UserError
from cmet.outputs import content_digest
from cmet.project import Project
from cmet.studies import ablations, edits
from cmet.studies.ablations import Ablation, AblationInputs, run_sweep
from cmet.studies.runner import Study
from cmet.studies.variants import read_variants
from cmet.tracking.runs import Run
from tests.slow.connector.conftest import shards, written_shards  # noqa: F401
from tests.slow.studies.conftest import noting

ABLATIONS = Path(__file__).parents[3] / "experiments/ablations"
FULL, MSE = ABLATIONS / "full.yaml", ABLATIONS / "mse.yaml"
SEEDS = [1, 2]


@pytest.fixture
def project(root: Path, shards: Path, store: str) -> Project:  # noqa: F811
    """A project with shards of a small world."""
    (root / "data/shards").mkdir(parents=True)
    shards.replace(root / "data/shards/facemesh")
    for name in ("model", "codes"):
        (root / "data/expression/facemesh" / name).mkdir(parents=True)
    # tells the runs of one test from those of others in the store
    (root / "data/expression/facemesh/model/basis").write_text(str(root))
    return Project.at(root / "params.yaml")


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Steps and seed of every training, which is real."""
    noted: list[tuple[int, int]] = []
    train = ablations.train

    def note(places: Any, params: Any, *others: Any) -> Any:
        noted.append((params.train.num_steps, params.seed))
        return train(places, params, *others)

    monkeypatch.setattr(ablations, "train", note)
    return noted


def layer(folder: Path, name: str, values: dict[str, Any]) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def sweep(project: Project, layers: list[Path], seeds: list[int] = SEEDS, out: str = "sweep") -> str:
    variants = read_variants(project.root / "params.yaml", layers)
    return run_sweep(project, "facemesh", variants, seeds, project.root / "data" / out, has_edits=False).text


def runs(project: Project, store: str) -> list[Any]:
    """The project's runs in the store."""
    from mlflow import MlflowClient

    client = MlflowClient(store)
    digest = content_digest(project.places.folder("expression", "facemesh") / "model")
    experiment = client.get_experiment_by_name("cmet").experiment_id
    return list(client.search_runs([experiment], f"tags.`cmet.input.data/expression/facemesh/model` = '{digest}'"))


def test_a_seed_that_comes_twice_is_refused(project: Project) -> None:
    with pytest.raises(UserError, match="--seeds 1 2 1: a seed is named twice"):
        sweep(project, [FULL], [1, 2, 1])


def test_another_sweep_of_the_project_waits_for_the_first(project: Project) -> None:
    with (
        project.places.only_run("sweep"),
        pytest.raises(UserError, match="sweep: another run of this stage is at work"),
    ):
        sweep(project, [FULL])


def test_a_sweep_without_a_judge_says_what_to_run_before_it_trains(project: Project) -> None:
    for name in ("clips/clips.parquet", "deltas/facemesh/pairs.parquet", "speech/opensmile/embeddings.parquet"):
        (project.root / "data" / name).parent.mkdir(parents=True)
        (project.root / "data" / name).touch()
    variants = read_variants(project.root / "params.yaml", [FULL])
    with pytest.raises(UserError, match="data/judge/judge.json: not there yet; run `dvc repro judge`"):
        run_sweep(project, "facemesh", variants, SEEDS, project.root / "data/sweep", has_edits=True)
    assert not (project.root / "data/sweep").exists()


def test_every_layer_and_seed_is_a_run_with_the_same_metric_names(
    project: Project, store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = sweep(project, [FULL, MSE])
    progress = [line for line in capsys.readouterr().out.splitlines() if line.startswith("sweep")]
    # seed by seed, so that what is done at any time can be compared
    assert progress == [
        "sweep: run 1 of 4: full, seed 1",
        "sweep: run 2 of 4: mse, seed 1",
        "sweep: run 3 of 4: full, seed 2",
        "sweep: run 4 of 4: mse, seed 2",
    ]
    assert "Corpus sample, backbone facemesh. Means over training seeds 1, 2" in said
    assert "| mse " in said
    out = project.places.folder("sweep", "facemesh")
    table, summary = pd.read_parquet(out / "ablations.parquet"), pd.read_csv(out / "ablations.csv")
    assert (out / "ablations.png").stat().st_size > 1000
    assert set(summary["layer"]) == {"full", "mse"}
    assert set(summary["subset"]) == {"validation pairs, weights kept"}
    logged = {(run.data.tags["cmet.ablation"], int(run.data.tags["cmet.seed"])): run for run in runs(project, store)}
    assert set(logged) == {("full", 1), ("full", 2), ("mse", 1), ("mse", 2)}
    for (name, seed), run in logged.items():
        assert run.info.status == "FINISHED"
        assert run.data.params["train.reconstruction"] == ("mse" if name == "mse" else "focal")
        assert run.data.params["seed"] == str(seed)
        own = table[(table["layer"] == name) & (table["seed"] == seed)].set_index("metric")["value"]
        assert run.data.metrics["kept/delta_mse"] == own["val/delta_mse"]
        assert set(own.index) <= set(run.data.metrics)
    assert len({frozenset(run.data.metrics) for run in logged.values()}) == 1
    values = table[table["metric"] == "val/delta_mse"]
    assert values["value"].nunique() == 4
    model = out / "mse/seed-2/model"
    assert (model / "backbone/basis").is_file()
    assert not (model / "last.safetensors").exists()
    made_of = json.loads((out / "mse/seed-2/made_of.json").read_text())
    assert made_of["train"]["params"]["seed"] == 2
    assert made_of["train"]["params"]["train"]["reconstruction"] == "mse"
    assert set(made_of["train"]["inputs"]) == {"data/shards/facemesh", "data/expression/facemesh/model"}
    assert set(made_of) == {"train"}
    assert not any((project.root / ".work").rglob("*.pt"))


def test_finished_runs_are_used_again_until_what_they_are_made_of_changes(
    project: Project, trained: list[tuple[int, int]]
) -> None:
    steps = layer(project.root, "steps", {"train": {"num_steps": 3}})
    sweep(project, [FULL, steps], [1])
    sweep(project, [steps, FULL], [1])
    assert trained == [(6, 1), (3, 1)]
    layer(project.root, "steps", {"train": {"num_steps": 4}})
    sweep(project, [FULL, steps], [1])
    assert trained[2:] == [(4, 1)]
    (project.places.folder("expression", "facemesh") / "model/basis").write_text("another")
    sweep(project, [steps], [1])
    assert trained[3:] == [(4, 1)]


def test_how_often_a_training_is_saved_changes_no_result(project: Project, trained: list[tuple[int, int]]) -> None:
    sweep(project, [FULL], [1])
    values = yaml.safe_load((project.root / "params.yaml").read_text())
    values["train"]["checkpoint_every"] = 3
    (project.root / "params.yaml").write_text(yaml.safe_dump(values))
    sweep(Project.at(project.root / "params.yaml"), [FULL], [1])
    assert trained == [(6, 1)]


def test_a_training_that_was_killed_goes_on_where_it_was(
    project: Project, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(Run, "log_metrics", noting(seen, killed_at=5))
        with pytest.raises(KeyboardInterrupt):
            sweep(project, [FULL], [1])
    out = project.places.folder("sweep", "facemesh")
    assert not out.exists()
    with monkeypatch.context() as patch:
        patch.setattr(Run, "log_metrics", noting(seen))
        sweep(project, [FULL], [1])
    assert seen[:5] == [1, 2, 3, 4, 5]
    # the checkpoint is of step 4; the last is the note of the weights that were kept
    assert seen[5:-1] == [5, 6]
    assert len(runs(project, store)) == 1
    sweep(project, [FULL], [1], out="whole")
    whole = project.root / "data/whole/facemesh/full/seed-1"
    assert content_digest(out / "full/seed-1") == content_digest(whole)


def test_a_training_that_was_killed_goes_on_though_the_report_was_changed(
    project: Project, store: str, change: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    monkeypatch.setattr(Run, "log_metrics", noting(seen, killed_at=5))
    for changed, steps in ((None, [1, 2, 3, 4, 5]), ("report/page.py", [5]), ("connector/losses.py", [1, 2, 3, 4, 5])):
        if changed:
            change(changed)
        seen.clear()
        with pytest.raises(KeyboardInterrupt):
            sweep(project, [FULL], [1])
        assert seen == steps
    # the second went on with the run of the first
    assert len(runs(project, store)) == 2


def test_a_finished_run_is_bound_to_the_code_that_it_was_made_by(
    project: Project, change: Callable[[str], None]
) -> None:
    sweep(project, [FULL], [1])
    others = ("report/page.py", "report/templates/report.html.j2", "judge/small.py", "doctor/machine.py", "cli.py")
    for name in (*others, "studies/ablation_table.py", "backbones/edtalk/decoder.py"):
        change(name)
        assert ablation(project).run.is_finished
    change("connector/losses.py")
    assert not ablation(project).run.is_finished


def test_each_step_is_bound_to_the_code_of_its_stage(project: Project, change: Callable[[str], None]) -> None:
    expected = {
        "report/page.py": [],
        "scores/figures.py": [],
        "judge/training.py": [],
        "judge/small.py": ["evaluate"],
        "scores/metrics/landmarks.py": ["evaluate"],
        "edits/methods.py": ["edits"],
        "connector/losses.py": ["train"],
        "connector/network.py": ["train", "edits"],
    }
    found = {}
    before = codes_of_steps(project)
    for changed in expected:
        change(changed)
        after = codes_of_steps(project)
        found[changed] = [name for name, code in after.items() if code != before[name]]
        before = after
    assert found == expected


def codes_of_steps(project: Project) -> dict[str, str]:
    return {step.name: step.made_of.code for step in ablation(project, has_edits=True).run.steps}


def ablation(project: Project, strength: float = 1.0, has_edits: bool = False) -> Ablation:
    """The experiment as it is, with the first seed."""
    study = Study("sweep", project, "facemesh", [1], project.places.folder("sweep"))
    [full] = read_variants(project.root / "params.yaml", [FULL])
    changed = full.params.edits.model_copy(update={"strength": strength})
    variant = replace(full, params=full.params.model_copy(update={"edits": changed}))
    inputs = AblationInputs.of(project, "facemesh", has_edits=False)
    return Ablation(study, variant, 1, replace(inputs, edits={}, judge={}) if has_edits else inputs)


def test_a_model_is_not_trained_again_for_other_edits_but_its_curves_are_in_every_run(
    project: Project, store: str, trained: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(edits, "edit_rows", killed)
    for strength, num_runs in ((1.0, 1), (1.0, 1), (0.5, 2)):
        with pytest.raises(KeyboardInterrupt):
            ablation(project, strength, has_edits=True).run.finish()
        logged = [run.data.metrics for run in runs(project, store)]
        assert len(logged) == num_runs
    assert trained == [(6, 1)]
    assert len({frozenset((name, value) for name, value in run.items() if "/delta_" in name) for run in logged}) == 1
    assert {"kept/delta_mse", "kept/step", "val/delta_mse", "train/total"} <= set(logged[0])
    # what was asked for before is there
    assert ablation(project).run.is_finished
    assert not ablation(project, has_edits=True).run.is_finished


def test_scores_of_an_older_model_do_not_stay_beside_a_new_one(project: Project) -> None:
    one = ablation(project)
    (one.out / "evaluate").mkdir(parents=True)
    one.run.finish()
    assert not (one.out / "evaluate").exists()
    assert set(json.loads((one.out / "metrics.json").read_text())) == set(one.metrics())


def test_the_seeds_of_a_sweep_may_follow_one_flag() -> None:
    args = ["a.yaml", "--seeds", "1", "2", "--no-edits"]
    assert ManySeeds(name="sweep")._repeated(args) == ["a.yaml", "--seeds", "1", "--seeds", "2", "--no-edits"]
