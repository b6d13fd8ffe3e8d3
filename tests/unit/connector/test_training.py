"""Training learns, resumes exactly, and says what is wrong."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from cmet.connector.bundle import load_bundle
from cmet.connector.training import CHECKPOINT, TrainReport, train
from cmet.errors import UserError
from cmet.outputs import content_digest
from cmet.params import TrainParams
from cmet.speech.scaling import SpeechScaling

MakeParams = Callable[..., TrainParams]


class Silent:
    """Keeps metrics; may stop the run at a step."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.stop_at = stop_at
        self.seen: list[tuple[int, dict[str, float]]] = []

    def log_metrics(self, step: int, metrics: dict[str, float]) -> None:
        if step == self.stop_at:
            raise KeyboardInterrupt
        self.seen.append((step, metrics))


def run(shards: Path, out: Path, params: TrainParams, tracker: Silent | None = None) -> TrainReport:
    return train(
        shards,
        out,
        params,
        7,
        out.with_name(f"{out.name}.work"),
        tracker or Silent(),
        backbone="facemesh",
        speech_encoder="opensmile",
        held_out_emotion="disgusted",
        device=torch.device("cpu"),
    )


def test_an_interrupted_run_goes_on_to_the_same_bytes(shards: Path, tmp_path: Path, make_params: MakeParams) -> None:
    params = make_params(reconstruction="bmse")
    expected = run(shards, tmp_path / "whole", params)
    with pytest.raises(KeyboardInterrupt):
        run(shards, tmp_path / "broken", params, Silent(stop_at=5))
    assert not (tmp_path / "broken").exists()
    assert (tmp_path / "broken.work" / CHECKPOINT).is_file()
    tracker = Silent()
    assert run(shards, tmp_path / "broken", params, tracker) == expected
    assert [step for step, _ in tracker.seen] == [5, 6]
    assert content_digest(tmp_path / "broken") == content_digest(tmp_path / "whole")
    assert not (tmp_path / "broken.work" / CHECKPOINT).exists()


def test_training_learns_the_direction_from_speech(shards: Path, tmp_path: Path, make_params: MakeParams) -> None:
    params = make_params(num_steps=150, log_every=50, validate_every=50, learning_rate=3e-3)
    report = run(shards, tmp_path / "model", params)
    assert report.validation["delta_mse"] < 0.6 * report.validation["delta_mse_zero"]
    assert report.validation["delta_cosine"] > 0.6
    assert report.validation["delta_cosine"] > report.validation["delta_cosine_mean"] + 0.3
    history = pd.read_parquet(tmp_path / "model" / "history.parquet")
    assert set(history.columns) == {"step", "metric", "value"}
    assert sorted(history[history["metric"] == "val/total"]["step"]) == [50, 100, 150]
    assert report.kept_step in (50, 100, 150)


def test_a_loss_that_is_no_number_stops_with_the_step(shards: Path, tmp_path: Path, make_params: MakeParams) -> None:
    with pytest.raises(UserError, match=r"the loss is (nan|inf) at step \d"):
        run(shards, tmp_path / "model", make_params(learning_rate=1e30))
    assert not (tmp_path / "model").exists()


def test_bundle_predicts_from_raw_embeddings_inside_the_training_range(
    shards: Path, tmp_path: Path, make_params: MakeParams
) -> None:
    run(shards, tmp_path / "model", make_params())
    bundle = load_bundle(tmp_path / "model")
    assert not bundle.connector.training
    bundle.expect(backbone="facemesh", speech_encoder="opensmile")
    neutral, far = np.zeros((2, 12), np.float32), np.full((3, 12), 1e6, np.float32)
    assert bundle.speech_direction(neutral, far) == pytest.approx(bundle.speech_limit_S)
    assert bundle.predict(neutral, far, np.zeros((13, 10), np.float32)).shape == (13, 10)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"backbone": "edtalk", "speech_encoder": "opensmile"}, "trained for backbone 'facemesh', not 'edtalk'"),
        ({"backbone": "facemesh", "speech_encoder": "emotion2vec"}, "trained for speech_encoder 'opensmile', not"),
    ],
)
def test_a_model_made_for_another_is_refused(
    shards: Path, tmp_path: Path, make_params: MakeParams, wanted: dict[str, str], message: str
) -> None:
    run(shards, tmp_path / "model", make_params(num_steps=1))
    with pytest.raises(UserError, match=message):
        load_bundle(tmp_path / "model").expect(**wanted)


def test_a_damaged_bundle_is_one_message(shards: Path, tmp_path: Path, make_params: MakeParams) -> None:
    model = tmp_path / "model"
    with pytest.raises(UserError, match=r"no trained model, config.json, connector.safetensors"):
        load_bundle(model)
    run(shards, model, make_params(num_steps=1))
    SpeechScaling.none(5).save(model)
    with pytest.raises(UserError, match="expected 12 speech features, found a scaling of shape"):
        load_bundle(model)
    SpeechScaling.none(12).save(model)
    weights = (model / "connector.safetensors").read_bytes()
    (model / "connector.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(UserError, match="damaged"):
        load_bundle(model)
