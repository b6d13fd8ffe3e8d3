"""C-MET's training loop: shards in, a trained model folder out."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from cmet.connector.bank import FeatureBank
from cmet.connector.bundle import BundleConfig, save_bundle
from cmet.connector.checkpoint import TrainingState
from cmet.connector.losses import LossTerms, loss_terms
from cmet.connector.network import Connector, Prediction
from cmet.connector.official import begin_from
from cmet.connector.sampler import Batch, Sampler
from cmet.connector.validation import SCORE, Validator
from cmet.errors import UserError
from cmet.outputs import fresh_folder
from cmet.params import TrainParams
from cmet.shards import PairSample, read_shards
from cmet.speech.scaling import SpeechScaling

CHECKPOINT = "checkpoint.pt"


class Tracker(Protocol):
    """Where metrics are shown while training runs."""

    def log_metrics(self, step: int, metrics: dict[str, float]) -> None:
        """Take the metrics of one step."""


@dataclass(frozen=True)
class TrainReport:
    """What came out of training."""

    num_steps: int
    kept_step: int
    """Step of the weights in the bundle."""
    num_pairs: int
    num_clips: int
    num_validation_pairs: int
    losses: dict[str, float]
    """Loss terms of the last step; empty where there was none."""
    validation: dict[str, float]
    """Metrics of the kept weights; empty where there are no validation pairs."""


def train(
    shards: Path,
    out: Path,
    params: TrainParams,
    seed: int,
    work: Path,
    tracker: Tracker,
    *,
    backbone: str,
    speech_encoder: str,
    held_out_emotion: str | None,
    backbone_model: Path | None = None,
    weights: Path | None = None,
    device: torch.device | None = None,
) -> TrainReport:
    """Train a Connector on the training shards and write it as a bundle.

    The weights kept are those with the smallest error of the predicted mean delta on the validation pairs
    (`val/delta_mse`), the last ones where there are none. A checkpoint that training begins from counts as step 0
    and is measured, too.

    Args:
        shards: Folder of the shards.
        out: Folder of the bundle, with history.parquet (step, metric, value) beside the model. It appears
            complete or not at all.
        params: The `train` section of params.yaml.
        seed: Decides initial weights, dropout and samples.
        work: Folder for the checkpoint. Where it holds one, training goes on from there, with the same result
            as without the interruption (bit for bit on a CPU).
        tracker: Gets the metrics while training runs.
        backbone: Named in the bundle, as are speech_encoder and held_out_emotion.
        speech_encoder: See above.
        held_out_emotion: See above.
        backbone_model: What the backbone was fitted to; copied into the bundle as `backbone/`, so that an edit
            needs nothing else.
        weights: Folder of the checkpoint `begin_from`; `weights_folder()` when None.
        device: A GPU where there is one by default.

    Raises:
        UserError: The shards are unusable, the loss is no longer a number, or the checkpoint to begin from is missing,
            is something else or does not fit the shards.
    """
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    pairs, validation_pairs = list(read_shards(shards, "train")), list(read_shards(shards, "val"))
    bank = FeatureBank.from_pairs(pairs, device)
    speech_limit_S = np.abs([pair.speech_delta for pair in pairs]).max(0)
    if not params.num_steps:
        # the range that the checkpoint was trained on is not known
        speech_limit_S = np.full_like(speech_limit_S, np.inf)
    validator = Validator(validation_pairs, _mean_delta(pairs), speech_limit_S, params)
    checkpoint = work / CHECKPOINT

    with torch.random.fork_rng(), _one_thread():
        torch.manual_seed(seed)
        connector = Connector(params.network, bank.expression_CLK.shape[-1], bank.speech_CS.shape[-1]).to(device)
        if params.begin_from:
            begin_from(params.begin_from, connector, weights)
        sampler = Sampler(
            bank,
            params.network.window,
            params.num_clips_per_mean,
            seed,
            first_window_share=params.first_window_share,
            speech_draw=params.speech_draw,
        )
        state = TrainingState.begin(connector, sampler, params)
        if checkpoint.is_file():
            state.load(checkpoint)
        _run_steps(state, validator, params, checkpoint, tracker)

    has_validation = bool(validation_pairs)
    config = BundleConfig(
        backbone=backbone,
        speech_encoder=speech_encoder,
        expression_width=connector.expression_width,
        speech_width=connector.speech_width,
        network=params.network,
        step=state.best_step if has_validation else state.step,
        seed=seed,
        held_out_emotion=held_out_emotion,
        expression_deltas={
            emotion: _mean_delta([pair for pair in pairs if pair.emotion == emotion]).tolist()
            for emotion in sorted({pair.emotion for pair in pairs})
        },
    )
    kept = state.best_weights if has_validation else connector.state_dict()
    history = pd.DataFrame(state.history, columns=["step", "metric", "value"])
    with fresh_folder(out) as folder:
        save_bundle(folder, kept, config, SpeechScaling.load(shards), speech_limit_S)
        history.to_parquet(folder / "history.parquet")
        if backbone_model is not None:
            copytree(backbone_model, folder / "backbone")
    checkpoint.unlink(missing_ok=True)
    return TrainReport(
        num_steps=state.step,
        kept_step=config.step,
        num_pairs=len(pairs),
        num_clips=len(bank.clip_ids),
        num_validation_pairs=len(validation_pairs),
        losses=_metrics_at(history, state.step, "train/"),
        validation=_metrics_at(history, config.step, "val/"),
    )


def _run_steps(
    state: TrainingState, validator: Validator, params: TrainParams, checkpoint: Path, tracker: Tracker
) -> None:
    connector = state.connector.train()
    if params.begin_from and not state.step and validator.pairs:
        _note(state, _validate(state, validator), tracker)
        if not math.isfinite(state.best_score):
            raise UserError(f"train.begin_from: {params.begin_from} predicts values that are no numbers")
    with tqdm(total=params.num_steps, initial=state.step, desc="train", unit="step", mininterval=1) as bar:
        while state.step < params.num_steps:
            terms = batch_terms(connector, state.sampler.draw(params.batch_size), params, state.spread)
            if not math.isfinite(terms.total.item()):
                raise UserError(
                    f"train: the loss is {terms.total.item()} at step {state.step + 1}; "
                    "lower train.learning_rate, or look for extreme values in the speech embeddings"
                )
            state.optimizer.zero_grad()
            terms.total.backward()
            state.optimizer.step()
            state.step += 1
            bar.update()

            is_last = state.step == params.num_steps
            metrics: dict[str, float] = {}
            if is_last or state.step % params.log_every == 0:
                metrics |= {f"train/{name}": value for name, value in terms.values().items()}
                bar.set_postfix({name: f"{value:.3g}" for name, value in terms.values().items()}, refresh=False)
            if validator.pairs and (is_last or state.step % params.validate_every == 0):
                metrics |= _validate(state, validator)
            if metrics:
                _note(state, metrics, tracker)
            if is_last or state.step % params.checkpoint_every == 0:
                state.save(checkpoint)


def _validate(state: TrainingState, validator: Validator) -> dict[str, float]:
    """Validation metrics of the present weights, which are kept if they are the best so far."""
    metrics = validator.measure(state.connector, state.spread)
    state.keep_weights(metrics[SCORE])
    return metrics


def _note(state: TrainingState, metrics: dict[str, float], tracker: Tracker) -> None:
    state.record(metrics)
    tracker.log_metrics(state.step, metrics)


def batch_terms(connector: Connector, batch: Batch, params: TrainParams, spread: torch.Tensor) -> LossTerms:
    """Both passes over a batch, and their losses."""
    forward, backward = both_passes(connector, batch)
    return loss_terms(forward, backward, batch.direction_BTK, batch.labels_B, params, spread)


def both_passes(connector: Connector, batch: Batch) -> tuple[Prediction, Prediction]:
    """From emotion 1 to emotion 2, and back."""
    # two calls, not one of twice the size: batch norm sees each pass on its own
    forward = connector(batch.reference_BTK, batch.speech_B1S, batch.source_BTK)
    backward = connector(-batch.reference_BTK, -batch.speech_B1S, batch.target_BTK)
    return forward, backward


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch use one core.

    The matrices of a network that is trained on a CPU are so small that a second core gains little, and costs
    several times the run where it is shared; the result does not depend on the number of cores either.
    """
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)


def _mean_delta(pairs: list[PairSample]) -> np.ndarray:
    return np.mean([pair.expression_delta for pair in pairs], axis=0, dtype=np.float64).astype(np.float32)


def _metrics_at(history: pd.DataFrame, step: int, prefix: str) -> dict[str, float]:
    rows = history[(history["step"] == step) & history["metric"].str.startswith(prefix)]
    return {name.removeprefix(prefix): float(value) for name, value in zip(rows["metric"], rows["value"], strict=True)}
