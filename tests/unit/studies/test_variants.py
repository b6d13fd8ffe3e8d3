"""Variants of an experiment."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from cmet.errors import UserError
from cmet.params import Params, ParamsError, load_params
from cmet.studies.variants import leaving_out, read_variants
from tests.connector_shards import TINY

ABLATIONS = Path(__file__).parents[3] / "experiments/ablations"
FULL, MSE = ABLATIONS / "full.yaml", ABLATIONS / "mse.yaml"


def layer(folder: Path, name: str, values: dict[str, Any]) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_a_layer_that_would_need_other_data_is_refused_by_its_key(root: Path) -> None:
    path = layer(root, "wider", {"shards": {"pairs_per_shard": 2}, "train": {"num_steps": 3}})
    with pytest.raises(UserError, match=r"wider\.yaml: changes shards\.pairs_per_shard, but .* `dvc exp run -S shards"):
        read_variants(root / "params.yaml", [path])


def test_a_key_that_is_not_known_is_named_with_its_layer(root: Path) -> None:
    path = layer(root, "odd", {"train": {"numsteps": 3}})
    with pytest.raises(ParamsError, match=r"odd\.yaml: unknown key\(s\): train\.numsteps"):
        read_variants(root / "params.yaml", [path])


def test_two_layers_of_one_name_are_refused(root: Path) -> None:
    with pytest.raises(UserError, match="two layers are called mse"):
        read_variants(root / "params.yaml", [MSE, layer(root, "mse", {})])


def test_layers_that_come_to_the_same_are_run_once_under_the_name_full(root: Path) -> None:
    same = layer(root, "same", {"train": {"sampler": TINY["sampler"]}})
    variants = read_variants(root / "params.yaml", [same, MSE, FULL])
    assert [(variant.name, variant.same) for variant in variants] == [("full", ("same",)), ("mse", ())]


def test_the_variant_without_an_emotion_changes_nothing_else(params: Params) -> None:
    variant = leaving_out(params, "happy")
    assert variant.name == variant.params.held_out_emotion == "happy"
    assert variant.params.model_copy(update={"held_out_emotion": params.held_out_emotion}) == params
    assert leaving_out(params, None).name == "seen"
    assert leaving_out(params, None).params.held_out_emotion is None


def test_an_emotion_that_is_left_out_passes_the_checks_of_the_parameters(root: Path) -> None:
    with pytest.raises(ParamsError, match=r"without joy: 1 bad value\(s\)\n  held_out_emotion"):
        leaving_out(load_params(root / "params.yaml"), "joy")
