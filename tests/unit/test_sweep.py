"""Sweeps of training alone on a small world; tests/test_whole_line.py has one with edits."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats

from cmet.commands.sweep import ManySeeds
from cmet.connector.training import HISTORY
from cmet.errors import UserError
from cmet.outputs import content_digest
from cmet.params import ParamsError
from cmet.project import Project
from cmet.sweep import one_run, read_variants, run_sweep
from cmet.sweep.figure import ablation_figure
from cmet.sweep.table import Labels, long_table, printed_table, summary_table, t_interval
from cmet.tracking.runs import Run, default_store
from tests.unit.connector.conftest import TINY, shards  # noqa: F401

ROOT = Path(__file__).parents[2]
ABLATIONS = ROOT / "experiments/ablations"
FULL, MSE = ABLATIONS / "full.yaml", ABLATIONS / "mse.yaml"
SEEDS = [1, 2]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> str:
    """A store of runs for all tests."""
    folder = tmp_path_factory.mktemp("store")
    shutil.copy(empty_store, folder / "mlflow.db")
    return default_store(folder)


@pytest.fixture
def project(tmp_path: Path, shards: Path, store: str, monkeypatch: pytest.MonkeyPatch) -> Project:  # noqa: F811
    """A project with shards of a small world and the tiny recipe."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    # at most once a run
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "60")
    root = tmp_path / "project"
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["train"] = TINY | {"network": TINY["network"].model_dump()}
    (root / "data/shards").mkdir(parents=True)
    shards.replace(root / "data/shards/facemesh")
    model = root / "data/expression/facemesh/model"
    model.mkdir(parents=True)
    # tells the runs of one test from those of others in the store
    (model / "basis").write_text(str(root))
    (root / "params.yaml").write_text(yaml.safe_dump(values))
    return Project.at(root / "params.yaml")


def layer(folder: Path, name: str, values: dict[str, Any]) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def sweep(project: Project, layers: list[Path], seeds: list[int] = SEEDS, out: str = "sweep") -> str:
    variants = read_variants(project.root / "params.yaml", layers)
    return run_sweep(project, "facemesh", variants, seeds, project.root / "data" / out, has_edits=False)


def runs(project: Project, store: str) -> list[Any]:
    """The project's runs in the store."""
    from mlflow import MlflowClient

    client = MlflowClient(store)
    digest = content_digest(project.folder("expression", "facemesh") / "model")
    experiment = client.get_experiment_by_name("cmet").experiment_id
    return list(client.search_runs([experiment], f"tags.`cmet.input.data/expression/facemesh/model` = '{digest}'"))


def test_a_layer_that_would_need_other_data_is_refused_by_its_key(project: Project) -> None:
    path = layer(project.root, "wider", {"shards": {"pairs_per_shard": 2}, "train": {"num_steps": 3}})
    with pytest.raises(UserError, match=r"wider\.yaml: changes shards\.pairs_per_shard, but .* `dvc exp run -S shards"):
        read_variants(project.root / "params.yaml", [path])


def test_a_key_that_is_not_known_is_named_with_its_layer(project: Project) -> None:
    path = layer(project.root, "odd", {"train": {"numsteps": 3}})
    with pytest.raises(ParamsError, match=r"odd\.yaml: unknown key\(s\): train\.numsteps"):
        read_variants(project.root / "params.yaml", [path])


def test_two_layers_of_one_name_are_refused(project: Project) -> None:
    with pytest.raises(UserError, match="two layers called mse"):
        read_variants(project.root / "params.yaml", [MSE, layer(project.root, "mse", {})])


def test_layers_that_come_to_the_same_are_run_once_under_the_name_full(project: Project) -> None:
    same = layer(project.root, "same", {"train": {"sampler": TINY["sampler"]}})
    variants = read_variants(project.root / "params.yaml", [same, MSE, FULL])
    assert [(variant.name, variant.same) for variant in variants] == [("full", ("same",)), ("mse", ())]


def test_a_seed_that_comes_twice_is_refused(project: Project) -> None:
    with pytest.raises(UserError, match="--seeds 1 2 1: a seed comes twice"):
        sweep(project, [FULL], [1, 2, 1])


def test_another_sweep_of_the_project_waits_for_the_first(project: Project) -> None:
    with project.only_run("sweep"), pytest.raises(UserError, match="sweep: another run of this stage is at work"):
        sweep(project, [FULL])


def test_a_sweep_without_a_judge_says_what_to_run_before_it_trains(project: Project) -> None:
    for name in ("clips/clips.parquet", "deltas/facemesh/pairs.parquet", "speech/opensmile/embeddings.parquet"):
        (project.root / "data" / name).parent.mkdir(parents=True)
        (project.root / "data" / name).touch()
    (project.root / "data/expression/facemesh/codes").mkdir()
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
    out = project.folder("sweep", "facemesh")
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
    assert made_of["edits"] is None
    assert not any((project.root / ".work").rglob("*.pt"))


def test_finished_runs_are_used_again_until_what_they_are_made_of_changes(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[tuple[int, int]] = []
    train = one_run.train

    def noted(*args: Any, **named: Any) -> Any:
        trained.append((args[2].num_steps, args[3]))
        return train(*args, **named)

    monkeypatch.setattr(one_run, "train", noted)
    steps = layer(project.root, "steps", {"train": {"num_steps": 3}})
    sweep(project, [FULL, steps], [1])
    sweep(project, [steps, FULL], [1])
    assert trained == [(6, 1), (3, 1)]
    layer(project.root, "steps", {"train": {"num_steps": 4}})
    sweep(project, [FULL, steps], [1])
    assert trained[2:] == [(4, 1)]
    (project.folder("expression", "facemesh") / "model/basis").write_text("another")
    sweep(project, [steps], [1])
    assert trained[3:] == [(4, 1)]


def test_a_training_that_was_killed_goes_on_where_it_was(
    project: Project, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_metrics = Run.log_metrics
    seen: list[int] = []

    def killed(run: Run, step: int, metrics: dict[str, float]) -> None:
        seen.append(step)
        log_metrics(run, step, metrics)
        if step == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Run, "log_metrics", killed)
        with pytest.raises(KeyboardInterrupt):
            sweep(project, [FULL], [1])
    out = project.folder("sweep", "facemesh")
    assert not out.exists()
    with monkeypatch.context() as patch:
        patch.setattr(
            Run, "log_metrics", lambda run, step, metrics: (seen.append(step), log_metrics(run, step, metrics))
        )
        sweep(project, [FULL], [1])
    assert seen[:5] == [1, 2, 3, 4, 5]
    # the checkpoint is of step 4; the last is the note of the weights that were kept
    assert seen[5:-1] == [5, 6]
    assert len(runs(project, store)) == 1
    sweep(project, [FULL], [1], out="whole")
    whole = project.root / "data/whole/facemesh/full/seed-1"
    assert content_digest(out / "full/seed-1") == content_digest(whole)


def test_a_model_that_was_trained_before_a_kill_is_not_trained_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(model: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(one_run, "_model_metrics", killed)
        with pytest.raises(KeyboardInterrupt):
            sweep(project, [FULL], [1])
    monkeypatch.setattr(one_run, "train", killed)
    sweep(project, [FULL], [1])
    assert (project.folder("sweep", "facemesh") / "full/seed-1/model" / HISTORY).is_file()


def test_a_run_is_bound_to_the_code_that_dvc_binds_its_stages_to() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    deps = {
        path.removeprefix("cmet/")
        for name in ("train", "edits", "evaluate", "judge")
        for path in stages[name]["deps"]
        if path.startswith("cmet/")
    }
    bound = {*one_run.TRAIN_CODE, *one_run.EDIT_CODE}
    assert {path for path in deps if not {path, path.split("/")[0]} & bound} == set()


JUDGE = "stand-in of the project (small), sha256 ffff"
LABELS = Labels("sample", "facemesh", "sad", JUDGE, [1, 2, 3], 0.95, {"full": ("same",)})
ACCURACIES = {"full": [0.60, 0.70, 0.80], "mse": [0.55, 0.60, 0.80]}


@pytest.fixture
def table() -> pd.DataFrame:
    """Three seeds of two layers."""
    counts = {"n": 96.0, "n_held_out": 16.0, "acc_emo_low": 0.1, "train/total": 0.5, "val/delta_cosine_happy": 0.1}
    return long_table(
        [
            (name, seed, counts | {"acc_emo": value, "acc_emo_held_out": value, "val/delta_mse": 1 - value})
            for name, values in ACCURACIES.items()
            for seed, value in enumerate(values, 1)
        ],
        LABELS,
    )


def test_intervals_over_seeds_are_those_of_student(table: pd.DataFrame) -> None:
    summary = summary_table(table, LABELS).set_index(["metric", "layer"])
    row = summary.loc["acc_emo", "mse"]
    low, high = stats.ttest_1samp(ACCURACIES["mse"], 0).confidence_interval(0.95)
    assert (row["mean"], row["low"], row["high"]) == pytest.approx((0.65, low, high))
    # by hand: 4.3027 is the 97.5 % point with two degrees of freedom
    assert row["high"] - row["mean"] == pytest.approx(4.3027 * np.std(ACCURACIES["mse"], ddof=1) / 3**0.5, rel=1e-4)


def test_differences_to_full_are_taken_seed_by_seed(table: pd.DataFrame) -> None:
    shuffled = table.sample(frac=1, random_state=0)
    summary = summary_table(shuffled, LABELS).set_index(["metric", "layer"])
    row = summary.loc["acc_emo", "mse"]
    paired = stats.ttest_rel(ACCURACIES["mse"], ACCURACIES["full"])
    low, high = paired.confidence_interval(0.95)
    assert (row["minus_full"], row["minus_full_low"], row["minus_full_high"]) == pytest.approx((-0.05, low, high))
    assert summary.loc["acc_emo", "full"][["minus_full", "minus_full_low", "minus_full_high"]].isna().all()


def test_one_seed_has_no_interval(table: pd.DataFrame) -> None:
    summary = summary_table(table[table["seed"] == 1], LABELS).set_index(["metric", "layer"])
    row = summary.loc["acc_emo", "mse"]
    assert row["mean"] == 0.55
    assert row["minus_full"] == pytest.approx(-0.05)
    assert row[["low", "high", "minus_full_low", "minus_full_high"]].isna().all()
    assert np.isnan(t_interval(np.array([1.0]), 0.95)).all()


def test_every_number_says_what_it_was_measured_on(table: pd.DataFrame) -> None:
    summary = summary_table(table, LABELS)
    assert summary.groupby("metric")["subset"].first().to_dict() == {
        "acc_emo": "test pairs without sad",
        "acc_emo_held_out": "test pairs of sad",
        "val/delta_mse": "validation pairs, weights kept",
    }
    judged = summary["metric"].str.startswith("acc")
    assert summary.loc[judged, "judge"].eq(JUDGE).all()
    assert summary.loc[~judged, "judge"].isna().all()
    assert summary["num_seeds"].eq(3).all()
    assert summary["seeds"].eq("1 2 3").all()
    said = printed_table(table, summary, LABELS)
    for part in (
        "Corpus sample, backbone facemesh",
        "95 % t-intervals over 3 seeds",
        "96 test pairs without sad; held out: 16 test pairs of sad",
        f"Judge: {JUDGE}. Layers are compared with each other",
        "| full = same | 70.0 (45.2 to 94.8)",
        "| -5.0 (-17.4 to +7.4)",
    ):
        assert part in said


def test_the_figure_has_a_point_for_every_layer_and_metric(table: pd.DataFrame) -> None:
    figure = ablation_figure(table, summary_table(table, LABELS), LABELS)
    assert [axes.get_title() for axes in figure.axes] == ["acc_emo, %", "val/delta_mse"]
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["full", "mse"]
    assert "95 % t-intervals" in figure.get_suptitle()


def test_the_seeds_of_a_sweep_may_follow_one_flag() -> None:
    args = ["a.yaml", "--seeds", "1", "2", "--no-edits"]
    assert ManySeeds(name="sweep")._repeated(args) == ["a.yaml", "--seeds", "1", "--seeds", "2", "--no-edits"]
