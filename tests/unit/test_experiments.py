"""Layers of changes over experiments."""

from pathlib import Path

import pytest
import yaml

from cmet.experiments import flat_values, lay_over, read_experiment, read_layer, use_experiment
from cmet.params import ParamsError, load_params, parse_params

ROOT = Path(__file__).parents[2]
LAYERS = sorted((ROOT / "experiments/ablations").glob("*.yaml"))
SAMPLE = ROOT / "experiments/sample.yaml"


def layer(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("experiment", ["sample", "mead-edtalk", "mead-pdfgc"])
@pytest.mark.parametrize("path", LAYERS, ids=lambda path: path.stem)
def test_every_ablation_fits_over_every_experiment_and_says_what_it_is(path: Path, experiment: str) -> None:
    values = read_experiment(ROOT / f"experiments/{experiment}.yaml")
    parse_params(lay_over(values, path), path.name)
    assert path.read_text().startswith("# ")


def test_the_ablations_of_the_paper_and_the_quirks_are_there() -> None:
    changes = {path.stem: flat_values(read_layer(path)) for path in LAYERS}
    assert changes["full"] == {}
    assert changes["recon-only"] == {"train.contrastive_weight": 0.0, "train.direction_weight": 0.0}
    assert changes["recon-contrastive"] == {"train.direction_weight": 0.0}
    assert changes["corrected-wmse"] == {"train.reconstruction": "wmse", "train.wmse_backward_label": "first"}
    assert {key for part in changes.values() for key in part} == {
        "train.contrastive_signs",
        "train.contrastive_weight",
        "train.direction",
        "train.direction_weight",
        "train.excluded_emotions",
        "train.reconstruction",
        "train.sampler",
        "train.speaker",
        "train.wmse_backward_label",
    }


def test_layers_are_laid_over_an_experiment_in_their_order(tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    use_experiment(SAMPLE, params, None)
    first = layer(tmp_path, "first", "train: {direction: unidir, num_steps: 7}")
    second = layer(tmp_path, "second", "train: {num_steps: 8}")
    changed = use_experiment(SAMPLE, params, None, [first, second])
    num_steps = load_params(SAMPLE).train.num_steps
    assert changed == ["train.direction: bidir -> unidir", f"train.num_steps: {num_steps} -> 8"]
    assert load_params(params).train.network == load_params(SAMPLE).train.network
    assert params.read_text().startswith(f"# Written by `cmet use {SAMPLE} {first} {second}`")


def test_a_layer_without_changes_leaves_the_experiment_as_it_is(tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    use_experiment(SAMPLE, params, None)
    assert use_experiment(SAMPLE, params, None, [ROOT / "experiments/ablations/full.yaml"]) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train: {reconstructoin: mse}", r"odd\.yaml: unknown key\(s\): train\.reconstructoin"),
        ("trian: {}\ntrian2: 1", r"odd\.yaml: unknown key\(s\): trian2"),
        ("train: mse", r"odd\.yaml: unknown key\(s\): train"),
        ("train: {reconstruction: huber}", r"odd\.yaml: 1 bad value.*\n  train\.reconstruction: .*'huber'"),
        ("base: sample.yaml", r"odd\.yaml: names a base"),
        ("# nothing", r"odd\.yaml: expected keys and values"),
    ],
)
def test_a_layer_that_does_not_fit_is_named_with_its_key(tmp_path: Path, text: str, said: str) -> None:
    params = tmp_path / "params.yaml"
    with pytest.raises(ParamsError, match=said):
        use_experiment(SAMPLE, params, None, [layer(tmp_path, "odd", text)])
    assert not params.exists()


def test_an_experiment_under_layers_keeps_the_values_of_its_base(tmp_path: Path) -> None:
    path = ROOT / "experiments/mead-edtalk.yaml"
    values = lay_over(read_experiment(path), ROOT / "experiments/ablations/mse.yaml")
    before = yaml.safe_dump(read_experiment(path) | {"train": None})
    assert yaml.safe_dump(values | {"train": None}) == before
    assert values["train"] == read_experiment(path)["train"] | {"reconstruction": "mse"}
