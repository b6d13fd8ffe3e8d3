"""Training learns, resumes exactly, and says what is wrong."""

import itertools
import json
import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cmet.connector import product
from cmet.connector.bundle import SPEECH_LIMIT, load_bundle
from cmet.connector.card import CONFIG, WEIGHTS
from cmet.connector.inference import predict_deltas
from cmet.connector.loss_watch import LossWatch
from cmet.connector.network import Connector
from cmet.connector.processes import Processes
from cmet.connector.product import BACKBONE, HISTORY, LAST, Model
from cmet.connector.sampler import Batch, Sampler
from cmet.connector.training import CHECKPOINT, Purpose, TrainReport, Untracked, train_connector
from cmet.errors import UserError
from cmet.outputs import content_digest, write_json
from cmet.params import TrainParams
from cmet.shards import LISTING, Shards, read_shards
from cmet.speech.scaling import SpeechScaling
from tests.connector_shards import CLIPS, EXPRESSION_WIDTH, SPEECH_WIDTH
from tests.layouts import rename

MakeParams = Callable[..., TrainParams]
ALONE = Processes(0, 1, torch.device("cpu"))


class Silent(Untracked):
    """Keeps metrics; may stop the run at a step."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.stop_at = stop_at
        self.seen: list[tuple[int, dict[str, float]]] = []

    def log_metrics(self, step: int, metrics: dict[str, float]) -> None:
        if step == self.stop_at:
            raise KeyboardInterrupt
        self.seen.append((step, metrics))


def run(shards: Path, out: Path, params: TrainParams, tracker: Silent | None = None) -> TrainReport:
    return train_connector(
        Shards(shards),
        out,
        params,
        7,
        out.with_name(f"{out.name}.work"),
        tracker or Silent(),
        ALONE,
        Purpose("facemesh", "opensmile", "disgusted", CLIPS),
    )


def test_an_interrupted_run_goes_on_to_the_same_bytes(
    shards: Path, tmp_path: Path, make_params: MakeParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    # nor does it import torch's compiler
    monkeypatch.setitem(sys.modules, "torch._dynamo", None)
    params = make_params(reconstruction="bmse", ema_decay=0.9)
    expected = run(shards, tmp_path / "whole", params)
    with pytest.raises(KeyboardInterrupt):
        run(shards, tmp_path / "broken", params, Silent(stop_at=5))
    assert not (tmp_path / "broken").exists()
    assert (tmp_path / "broken.work" / CHECKPOINT).is_file()
    tracker = Silent()
    assert run(shards, tmp_path / "broken", params, tracker) == expected
    assert [step for step, _ in tracker.seen] == [5, 6]
    assert content_digest(tmp_path / "broken") == content_digest(tmp_path / "whole")


def test_training_learns_the_direction_from_speech(shards: Path, tmp_path: Path, make_params: MakeParams) -> None:
    params = make_params(num_steps=90, log_every=30, validate_every=30, checkpoint_every=30, learning_rate=3e-3)
    report = run(shards, tmp_path / "model", params)
    assert report.validation["delta_mse"] < 0.6 * report.validation["delta_mse_zero"]
    assert report.validation["delta_cosine"] > 0.6
    assert report.validation["delta_cosine"] > report.validation["delta_cosine_mean"] + 0.3
    history = Model(tmp_path / "model").history
    assert set(history.columns) == {"step", "metric", "value"}
    assert sorted(history[history["metric"] == "val/total"]["step"]) == [30, 60, 90]
    assert report.kept_step in (30, 60, 90)


def test_an_average_of_weights_is_validated_and_kept(shards: Path, tmp_path: Path, make_params: MakeParams) -> None:
    """Averaged here from the weights after each step, which averaging does not move."""
    names = ("num_steps", "validate_every", "learning_rate", "ema_decay")
    reached = [
        weights_of(shards, tmp_path / f"{num}", make_params(**dict(zip(names, (num, num, 1e-2, None), strict=True))))
        for num in (1, 2, 3)
    ]
    params = make_params(**dict(zip(names, (3, 3, 1e-2, 0.7), strict=True)))
    averaged = weights_of(shards, tmp_path / "averaged", params)
    last = load_file(tmp_path / "averaged" / LAST)
    drawn = drawn_weights(shards, params)
    moved = 0
    for name, start in drawn.items():
        assert torch.equal(last[f"weights/{name}"], reached[2][name])
        if "running" in name or "tracked" in name or name.endswith(".pe"):
            assert torch.equal(averaged[name], reached[2][name])
            continue
        expected = 0.7**3 * start + sum(0.3 * 0.7 ** (2 - i) * weights[name] for i, weights in enumerate(reached))
        torch.testing.assert_close(averaged[name], expected, rtol=1e-5, atol=1e-6)
        moved += not torch.allclose(averaged[name], reached[2][name], rtol=1e-3, atol=1e-4)
    assert moved > 20
    history = Model(tmp_path / "averaged").history.set_index("metric")["value"]
    plain = Model(tmp_path / "3").history.set_index("metric")["value"]
    assert history["val/delta_mse"] != plain["val/delta_mse"]


def weights_of(shards: Path, out: Path, params: TrainParams) -> dict[str, torch.Tensor]:
    run(shards, out, params)
    return load_file(out / WEIGHTS)


def drawn_weights(shards: Path, params: TrainParams) -> dict[str, torch.Tensor]:
    pair = next(iter(read_shards(shards, "train")))
    with torch.random.fork_rng():
        torch.manual_seed(7)
        connector = Connector(params.network, pair.expression_delta.shape[0], pair.speech_delta.shape[0])
    return connector.state_dict()


@pytest.mark.parametrize(("sampler", "ema_decay"), [("official", None), ("corrected", 0.9)])
def test_five_interruptions_at_random_steps_change_no_byte(
    shards: Path, tmp_path: Path, make_params: MakeParams, sampler: str, ema_decay: float | None
) -> None:
    params = make_params(
        num_steps=14,
        log_every=1,
        validate_every=7,
        checkpoint_every=2,
        sampler=sampler,
        ema_decay=ema_decay,
        mixup_share=0.5,
    )
    expected = run(shards, tmp_path / "whole", params)
    draw = np.random.default_rng(5)
    for _ in range(5):
        # at most two steps further, so that all come before the end
        stop_at = saved_step(tmp_path / "broken.work" / CHECKPOINT) + int(draw.integers(1, 4))
        with pytest.raises(KeyboardInterrupt):
            run(shards, tmp_path / "broken", params, Silent(stop_at))
        assert not (tmp_path / "broken").exists()
    assert saved_step(tmp_path / "broken.work" / CHECKPOINT) > 2
    assert run(shards, tmp_path / "broken", params) == expected
    assert content_digest(tmp_path / "broken") == content_digest(tmp_path / "whole")


def saved_step(checkpoint: Path) -> int:
    return int(torch.load(checkpoint, weights_only=True)["step"]) if checkpoint.is_file() else 0


def test_a_loss_that_is_no_number_names_step_and_clips_and_keeps_the_last_good_checkpoint(
    shards: Path, tmp_path: Path, make_params: MakeParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw, numbers = Sampler.draw, itertools.count(1)

    def spoiled(sampler: Sampler, batch_size: int) -> Batch:
        batch = draw(sampler, batch_size)
        return batch._replace(speech_B1S=batch.speech_B1S / 0) if next(numbers) == 5 else batch

    monkeypatch.setattr(Sampler, "draw", spoiled)
    params = make_params(num_steps=9, log_every=4, checkpoint_every=4, validate_every=9)
    expected = r"the loss is nan at step 5, in a batch of \d+ clips: a-angry-2-000, .*bad_batch.txt"
    with pytest.raises(UserError, match=expected):
        run(shards, tmp_path / "model", params)
    assert not (tmp_path / "model").exists()
    assert saved_step(tmp_path / "model.work" / CHECKPOINT) == 4
    clips = (tmp_path / "model.work" / "bad_batch.txt").read_text().split()
    assert set(clips) <= {clip.clip_id for pair in read_shards(shards, "train") for clip in pair.clips()}
    monkeypatch.undo()
    assert run(shards, tmp_path / "model", params).num_steps == 9


def test_weights_that_no_validation_could_measure_are_not_kept(
    shards: Path, tmp_path: Path, make_params: MakeParams
) -> None:
    with pytest.raises(
        UserError, match="no validation gave a number for val/delta_mse, so there are no weights to keep"
    ):
        run(shards, tmp_path / "model", make_params(num_steps=1, learning_rate=1e15))
    assert not (tmp_path / "model").exists()


def test_training_stops_when_validation_gets_no_better(shards: Path, tmp_path: Path, make_params: MakeParams) -> None:
    params = make_params(num_steps=200, learning_rate=1e-9, validate_every=2, patience=3, log_every=50)
    tracker = Silent()
    report = run(shards, tmp_path / "model", params, tracker)
    assert report.is_stopped_early
    assert report.num_steps - report.kept_step == 3 * 2
    assert report.num_steps < 200
    # the last step is logged and kept like that of a whole run
    assert tracker.seen[-1][0] == report.num_steps
    assert "train/total" in tracker.seen[-1][1]
    assert (tmp_path / "model" / LAST).is_file()


def test_speed_is_tracked_and_no_part_of_the_history(shards: Path, tmp_path: Path, make_params: MakeParams) -> None:
    tracker = Silent()
    run(shards, tmp_path / "model", make_params(), tracker)
    speeds = [metrics for _, metrics in tracker.seen if "time/steps_per_s" in metrics]
    assert len(speeds) == 5
    assert all(0 <= metrics["time/data_share"] < 1 for metrics in speeds)
    history = Model(tmp_path / "model").history
    assert not history["metric"].str.startswith("time/").any()


def test_a_full_disk_keeps_the_checkpoint_before(
    shards: Path, tmp_path: Path, make_params: MakeParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = make_params(num_steps=6, checkpoint_every=2)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    see = LossWatch.check

    def fill_disk(watch: LossWatch) -> None:
        see(watch)
        if (watch.work / CHECKPOINT).is_file():
            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))

    monkeypatch.setattr(LossWatch, "check", fill_disk)
    try:
        with pytest.raises(UserError, match=r"checkpoint of step 4 could not be written .*the one before"):
            run(shards, tmp_path / "model", params)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    monkeypatch.undo()
    assert saved_step(tmp_path / "model.work" / CHECKPOINT) == 2
    assert [path.name for path in (tmp_path / "model.work").iterdir()] == [CHECKPOINT]
    assert run(shards, tmp_path / "model", params) == run(shards, tmp_path / "whole", params)
    assert content_digest(tmp_path / "model") == content_digest(tmp_path / "whole")


def test_an_excluded_emotion_is_not_trained_on_and_has_no_part_in_the_choice_of_weights(
    shards: Path, tmp_path: Path, make_params: MakeParams
) -> None:
    report = run(shards, tmp_path / "some", make_params(excluded_emotions=["happy"]))
    assert (report.num_pairs, report.num_clips) == (3 * 6 * 2, 3 * (6 * 2 + 1))
    assert "happy" not in load_bundle(tmp_path / "some").config.expression_deltas
    assert "delta_cosine_happy" in report.validation
    whole = run(shards, tmp_path / "all", make_params())
    assert report.validation["delta_mse_zero"] != whole.validation["delta_mse_zero"]


def test_a_model_records_how_emotions_sound_and_learns_nothing_from_what_was_left_out(
    shards: Path, tmp_path: Path, make_params: MakeParams
) -> None:
    with_more = Path(copytree(shards, tmp_path / "with more"))
    left_out = {"calm": {"speech": [0.5] * SPEECH_WIDTH, "expression": [0.25] * EXPRESSION_WIDTH}}
    write_json(with_more / LISTING, json.loads((shards / LISTING).read_text()) | {"left_out": left_out})
    for folder, name in ((shards, "all"), (with_more, "more")):
        run(folder, tmp_path / name, make_params())
    config = load_bundle(tmp_path / "more").config
    assert config.speech_deltas["calm"] == [0.5] * SPEECH_WIDTH
    assert config.expression_deltas["calm"] == [0.25] * EXPRESSION_WIDTH
    happy = [pair.speech_delta for pair in read_shards(shards, "train") if pair.emotion == "happy"]
    np.testing.assert_allclose(config.speech_deltas["happy"], np.mean(happy, axis=0), rtol=1e-5)
    assert Model(tmp_path / "more").sha256 == Model(tmp_path / "all").sha256


def test_training_beside_the_honest_baselines(shards: Path, tmp_path: Path, make_params: MakeParams) -> None:
    validation = run(shards, tmp_path / "model", make_params()).validation
    pairs, training = list(read_shards(shards, "val")), list(read_shards(shards, "train"))
    true = np.stack([pair.expression_delta for pair in pairs])
    of_emotion = [np.mean([p.expression_delta for p in training if p.emotion == pair.emotion], 0) for pair in pairs]
    nearest = []
    for pair in pairs:
        heard = np.mean(
            [p.speech_delta for p in pairs if (p.emotion, p.intensity) == (pair.emotion, pair.intensity)], 0
        )
        distances = [np.linalg.norm(heard - p.speech_delta) for p in training]
        nearest.append(training[int(np.argmin(distances))].expression_delta)
    for name, guess in (("zero", np.zeros_like(true)), ("emotion_mean", of_emotion), ("nearest", nearest)):
        assert validation[f"delta_mse_{name}"] == pytest.approx(float(np.mean((np.stack(guess) - true) ** 2)), rel=1e-4)


def test_bundle_predicts_from_raw_embeddings_inside_the_training_range(
    shards: Path, tmp_path: Path, make_params: MakeParams
) -> None:
    run(shards, tmp_path / "model", make_params())
    bundle = load_bundle(tmp_path / "model")
    assert not bundle.connector.training
    bundle.expect(backbone="facemesh", speech_encoder="opensmile")
    neutral, far = np.zeros((2, 12), np.float32), np.full((3, 12), 1e6, np.float32)
    assert bundle.scaled_speech_delta(neutral, far) == pytest.approx(bundle.speech_limit_S)
    directions = predict_deltas(bundle.connector, bundle.speech_limit_S, np.zeros((13, 10), np.float32))
    assert directions.shape == (13, 10)


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
    with pytest.raises(UserError, match=r"no trained model here, config.json, connector.safetensors"):
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


@pytest.mark.parametrize("name", [BACKBONE, CONFIG, HISTORY, LAST, SPEECH_LIMIT, WEIGHTS])
def test_a_file_of_a_model_is_called_by_one_name(
    shards: Path, tmp_path: Path, make_params: MakeParams, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed, model, fitted = rename(monkeypatch, "connector", name), Model(tmp_path / "model"), tmp_path / "fitted"
    fitted.mkdir()
    (fitted / "basis").touch()
    purpose = Purpose("facemesh", "opensmile", None, CLIPS, backbone_model=fitted)
    train_connector(
        Shards(shards), model.folder, make_params(num_steps=1), 7, tmp_path / "work", Untracked(), ALONE, purpose
    )
    assert load_bundle(model.folder).config == model.config
    assert not model.history.empty
    assert (model.backbone / "basis").is_file()
    assert {model.card, model.weights, model.backbone} < set(model.files)
    assert model.folder / renamed in [*model.files, model.folder / product.LAST]
    assert not (model.folder / name).exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "damaged"),
        (b"half", "damaged"),
        ({"connector": {}}, "not a checkpoint .*Error.s. in loading state_dict"),
        ([], "not a checkpoint .*list indices must be integers"),
    ],
)
def test_a_checkpoint_that_is_none_is_named(
    shards: Path, tmp_path: Path, make_params: MakeParams, content: Any, said: str
) -> None:
    checkpoint = tmp_path / "model.work" / CHECKPOINT
    checkpoint.parent.mkdir()
    if isinstance(content, bytes):
        checkpoint.write_bytes(content)
    else:
        torch.save(content, checkpoint)
    with pytest.raises(UserError, match=rf"{CHECKPOINT}: {said}.*delete it"):
        run(shards, tmp_path / "model", make_params())


def test_a_checkpoint_with_a_weight_that_is_no_number_is_refused(
    shards: Path, tmp_path: Path, make_params: MakeParams
) -> None:
    with suppress(KeyboardInterrupt):
        run(shards, tmp_path / "model", make_params(), Silent(stop_at=3))
    checkpoint = tmp_path / "model.work" / CHECKPOINT
    values = torch.load(checkpoint, weights_only=True)
    values["connector"]["Norm.bias"][0] = torch.nan
    torch.save(values, checkpoint)
    with pytest.raises(UserError, match="NaN or infinity in connector.Norm.bias.*delete it"):
        run(shards, tmp_path / "model", make_params())
