"""Training that begins with the weights of another one."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from cmet.connector.beginning import _by_name, _fill_moments, beginning_path
from cmet.connector.card import WEIGHTS
from cmet.connector.checkpoint import TrainingState
from cmet.connector.network import Connector
from cmet.connector.processes import Processes
from cmet.connector.product import LAST
from cmet.connector.step import TrainingStep
from cmet.connector.training import Purpose, TrainReport, Untracked, train_connector
from cmet.errors import UserError
from cmet.params import NetworkParams, TrainParams
from cmet.shards import Shards
from cmet.speech.scaling import FittedProjection, ProjectionFacts, SpeechScaling
from cmet.weights.containers import optimizer_state
from tests.connector_shards import CLIPS, SPEECH_WIDTH

MakeParams = Callable[..., TrainParams]


def run(
    shards: Path, out: Path, params: TrainParams, beginning: Path | None = None, backbone: str = "facemesh"
) -> TrainReport:
    return train_connector(
        Shards(shards),
        out,
        params,
        7,
        out.with_name(f"{out.name}.work"),
        Untracked(),
        Processes(0, 1, torch.device("cpu")),
        Purpose(backbone, "opensmile", None, CLIPS, beginning=beginning),
    )


@pytest.mark.parametrize("ema_decay", [None, 0.9])
def test_a_model_s_folder_gives_its_best_weights(
    shards: Path, tmp_path: Path, make_params: MakeParams, ema_decay: float | None
) -> None:
    run(shards, tmp_path / "first", make_params(num_steps=9))
    params = make_params(num_steps=0, begin_from="first", ema_decay=ema_decay)
    report = run(shards, tmp_path / "second", params, tmp_path / "first")
    assert (report.num_steps, report.kept_step) == (0, 0)
    first, second = (load_file(tmp_path / name / WEIGHTS) for name in ("first", "second"))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_last_state_gives_weights_and_moments(shards: Path, tmp_path: Path, make_params: MakeParams) -> None:
    run(shards, tmp_path / "first", make_params(num_steps=9))
    last = load_file(tmp_path / "first" / LAST)
    params = make_params(num_steps=1, begin_from=LAST, learning_rate=1e-12)
    run(shards, tmp_path / "second", params, tmp_path / "first" / LAST)
    next_ = load_file(tmp_path / "second" / LAST)
    assert set(next_) == set(last)
    assert {float(next_[name]) for name in next_ if name.startswith("step/")} == {10.0}
    name = "fusion_transformer_encoder.transformer_encoder.layers.0.linear1.weight"
    torch.testing.assert_close(next_[f"weights/{name}"], last[f"weights/{name}"], rtol=0, atol=1e-9)
    # the moments before the step have the weight that AdamW gives them
    bound = 0.1 * next_[f"exp_avg/{name}"].abs().max() + last[f"exp_avg/{name}"].abs().max()
    assert (next_[f"exp_avg/{name}"] - 0.9 * last[f"exp_avg/{name}"]).abs().max() < bound
    assert not torch.equal(next_[f"exp_avg/{name}"], last[f"exp_avg/{name}"])


def test_a_model_that_projects_speech_otherwise_is_refused(
    shards: Path, tmp_path: Path, make_params: MakeParams
) -> None:
    run(shards, tmp_path / "first", make_params(num_steps=1))
    facts = ProjectionFacts(rule="whitening", num_speakers=3, accuracy={"none": 0.5, "whitening": 0.6})
    projection = FittedProjection(np.eye(SPEECH_WIDTH, dtype=np.float32), facts)
    replace(SpeechScaling.none(SPEECH_WIDTH), projection=projection).save(tmp_path / "first")
    with pytest.raises(
        UserError, match=r"train\.begin_from: .*first: this model projects speech otherwise than the shards"
    ):
        run(shards, tmp_path / "second", make_params(begin_from="first"), tmp_path / "first")


def test_a_model_of_another_backbone_is_refused(shards: Path, tmp_path: Path, make_params: MakeParams) -> None:
    run(shards, tmp_path / "first", make_params(num_steps=1))
    with pytest.raises(UserError, match="trained for backbone 'facemesh', not 'edtalk'"):
        run(shards, tmp_path / "second", make_params(begin_from="first"), tmp_path / "first", backbone="edtalk")
    assert not (tmp_path / "second").exists()


@pytest.mark.parametrize("name", ["", LAST])
def test_a_network_of_another_width_is_refused(
    shards: Path, tmp_path: Path, make_params: MakeParams, name: str
) -> None:
    run(shards, tmp_path / "first", make_params(num_steps=1))
    wide = NetworkParams(hidden=64, num_layers=1, num_heads=2, feedforward=32, window=5, dropout=0.1)
    with pytest.raises(
        UserError, match=r"tensors do not have the size that train.network and the shards ask for, first"
    ):
        run(shards, tmp_path / "second", make_params(begin_from="x", network=wide), tmp_path / "first" / name)


def test_a_damaged_or_foreign_last_state_is_one_message(shards: Path, tmp_path: Path, make_params: MakeParams) -> None:
    path = tmp_path / LAST
    path.write_bytes(b"no weights")
    with pytest.raises(UserError, match="not readable as weights"):
        run(shards, tmp_path / "out", make_params(begin_from="x"), path)
    save_file({"other": torch.zeros(1)}, path)
    with pytest.raises(UserError, match=f"not the {LAST} of a trained model"):
        run(shards, tmp_path / "out", make_params(begin_from="x"), path)


def test_a_folder_without_a_model_is_told_from_a_checkpoint(
    shards: Path, tmp_path: Path, make_params: MakeParams
) -> None:
    with pytest.raises(UserError, match=r"shards: no config.json in this folder, so it is not a trained model"):
        run(shards, tmp_path / "out", make_params(begin_from="shards"), shards)


def test_what_lies_where_dvc_does_not_look_is_refused(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    for folder in (tmp_path / "data/train/facemesh", weights / "connector/mine", tmp_path / "other"):
        folder.mkdir(parents=True)
    (weights / "connector/linked").symlink_to(tmp_path / "other")
    for name in ("data/train/facemesh", "weights/connector/linked"):
        with pytest.raises(UserError, match=f"{name}: DVC watches only {weights}/connector; copy it there"):
            beginning_path(name, tmp_path, weights)
    assert beginning_path("weights/connector/mine", tmp_path, weights) == weights / "connector/mine"


def test_a_missing_beginning_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="train.begin_from: models/none: no such file or folder; expected cmet-conn"):
        beginning_path("models/none", tmp_path, tmp_path / "weights")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("weights/Norm.bias", "NaN or infinity in 1 tensor.s., first weights/Norm.bias"),
        ("exp_avg/Norm.bias", "NaN or infinity in 1 tensor.s., first exp_avg/Norm.bias"),
    ],
)
def test_a_last_state_with_values_that_are_no_numbers_is_refused(
    shards: Path, tmp_path: Path, make_params: MakeParams, name: str, said: str
) -> None:
    run(shards, tmp_path / "first", make_params(num_steps=1))
    last = tmp_path / "first" / LAST
    tensors = load_file(last)
    save_file(tensors | {name: tensors[name] * torch.nan}, last)
    with pytest.raises(UserError, match=said):
        run(shards, tmp_path / "second", make_params(begin_from="x"), last)


@pytest.mark.parametrize("kept", [[], {0: []}, {0: {"exp_avg": "a"}}, {0: {"step": 1}}, {"a": {}}])
def test_an_optimizer_state_of_another_form_is_passed_over(
    tmp_path: Path, make_params: MakeParams, kept: object
) -> None:
    params = make_params()
    module = TrainingStep(Connector(params.network, 6, 8), params, Processes(0, 1, torch.device("cpu")))
    state = TrainingState.begin(module, cast(Any, None), params)
    torch.save({"state_dict": {}, "optimizer": {"state": kept}}, tmp_path / "a.pth")
    found = optimizer_state(tmp_path / "a.pth")
    assert found == (kept if isinstance(kept, dict) else None)
    _fill_moments(state, _by_name(state, found or {}), tmp_path)
    assert not state.optimizer.state
