"""C-MET's training loop: shards in, a trained model folder out."""

import math
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from torch import nn

from cmet.backbones.saved import backbone_digests
from cmet.connector.batches import make_batches
from cmet.connector.beginning import begin_from, check_clips, save_last
from cmet.connector.bundle import save_bundle
from cmet.connector.card import BundleConfig
from cmet.connector.checkpoint import TrainingState
from cmet.connector.features import read_features
from cmet.connector.loss_watch import LossWatch
from cmet.connector.network import Connector
from cmet.connector.processes import Processes
from cmet.connector.product import BACKBONE, HISTORY, LAST
from cmet.connector.step import TrainingStep
from cmet.connector.threads import fitting_threads
from cmet.connector.validation import SCORE, Validator
from cmet.environment import versions
from cmet.errors import UserError
from cmet.outputs import fresh_folder
from cmet.params import USUAL_SPEECH, ClipForm, SpeechForm, TrainParams
from cmet.progress import progress
from cmet.shards import Shards
from cmet.speech.encoders.settings import settings_of

CHECKPOINT = "checkpoint.pt"


class Tracker(Protocol):
    """Where metrics are shown while training runs."""

    def log_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """Take the metrics of one step."""

    def flush(self) -> None:
        """Let nothing that was taken wait: what a checkpoint has behind it is not logged again."""

    def log_model(self, model: Path) -> None:
        """Keep a copy of the trained model in a folder."""


class Untracked:
    """A tracker that keeps nothing."""

    def log_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """Take the metrics of one step."""

    def flush(self) -> None:
        """There is nothing that waits."""

    def log_model(self, model: Path) -> None:
        """Take a model."""


@dataclass(frozen=True)
class Purpose:
    """What a model is trained for; it says so itself."""

    backbone: str
    speech_encoder: str
    held_out_emotion: str | None
    clips: ClipForm
    """How the clips behind the shards look and sound."""
    backbone_model: Path | None = None
    """What the backbone was fitted to; copied into the model, so that an edit needs nothing else."""
    beginning: Path | None = None
    """Weights to begin with (`cmet.connector.beginning`); drawn ones when None."""
    speech_form: SpeechForm = USUAL_SPEECH
    """What was taken of the speech encoder."""


@dataclass(frozen=True)
class TrainReport:
    """What came out of training."""

    num_steps: int
    kept_step: int
    """Step of the weights in the bundle."""
    is_stopped_early: bool
    num_pairs: int
    num_clips: int
    num_validation_pairs: int
    num_short_lists: int | None
    """Groups of one speaker, emotion and level with fewer clips than a mean asks for; None where shards stream."""
    num_unused_clips: int | None
    """Clips that no sample begins with, as their speaker has no other emotion at their level; None likewise."""
    losses: dict[str, float]
    """Loss terms of the last step; empty where there was none."""
    validation: dict[str, float]
    """Metrics of the kept weights; empty where there are no validation pairs."""


def train_connector(
    shards: Shards,
    out: Path,
    params: TrainParams,
    seed: int,
    work: Path,
    tracker: Tracker,
    processes: Processes,
    purpose: Purpose,
) -> TrainReport:
    """Train a Connector on the training shards and write it as a bundle.

    The weights kept are those with the smallest error of the predicted mean delta on the validation pairs
    (`val/delta_mse`), the last ones where there are none. A checkpoint that training begins from counts as step 0
    and is measured, too.

    Args:
        shards: The shards.
        out: Folder of the bundle, with history.parquet (step, metric, value) and the last state of training beside
            the model. It appears complete or not at all.
        params: The `train` section of params.yaml.
        seed: Decides initial weights, dropout and samples.
        work: Folder for the checkpoint. Where it holds one, training goes on from there, with the same result
            as without the interruption (bit for bit on a CPU). It stays for the caller to delete: what is still to be
            done with the result may fail.
        tracker: Gets the metrics while training runs.
        processes: Those that train together; all of them call this, the first one writes.
        purpose: What the model is for, and what it begins with.

    Raises:
        UserError: The shards are unusable, the loss is no longer a number, the disk is full, or what training begins
            with does not fit.
    """
    if params.batch_size % processes.num:
        raise UserError(f"train.batch_size: {params.batch_size} is not a multiple of {processes.num} processes")
    scaling = shards.scaling
    features = read_features(shards.folder, params, processes.device, processes.is_first)
    facts = features.facts
    speech_limit_S = facts.speech_limit_S
    if not params.num_steps:
        # the range that the checkpoint was trained on is not known
        speech_limit_S = np.full_like(speech_limit_S, np.inf)
    validator = Validator(features.validation_pairs, facts, speech_limit_S, params)
    checkpoint = work / CHECKPOINT

    with torch.random.fork_rng(), fitting_threads(params.network.hidden):
        torch.manual_seed(seed)
        connector = Connector(params.network, features.expression_width, features.speech_width).to(processes.device)
        if processes.rank:
            # dropout is drawn by each process for itself
            torch.manual_seed(seed + processes.rank)
        processes.synced(connector)
        module = TrainingStep(connector.train(), params, processes)
        state = TrainingState.begin(module, make_batches(features, params, seed, processes), params)
        if purpose.beginning is not None:
            begin_from(purpose.beginning, state, purpose.backbone, purpose.speech_encoder, purpose.speech_form, scaling)
            if not params.num_steps:
                check_clips(purpose.beginning, purpose.clips)
        state.update_average()
        if state.load(checkpoint, processes) and processes.is_first:
            print(f"train: goes on from step {state.step}", file=sys.stderr, flush=True)
        sampler = state.batches.sampler
        short_lists = sampler.short_lists() if features.bank else None
        if short_lists and processes.is_first:
            clip_id, emotion, level, num = short_lists[0]
            print(
                f"train: {len(short_lists)} of {len(sampler.groups.lengths)} groups of one speaker, emotion and level "
                f"hold fewer clips than train.num_clips_per_mean ({params.num_clips_per_mean}), so some count "
                f"twice in a mean; first {clip_id}: {num} clip(s) of {emotion}, level {level}",
                file=sys.stderr,
            )
        if purpose.beginning is not None and not state.step and validator.pairs:
            _note(state, _validate(state, validator, processes), tracker, {})
            if not math.isfinite(state.best_score):
                raise UserError(f"train.begin_from: {params.begin_from} predicts values that are not numbers")
        _run_steps(state, processes.sharing(module), validator, params, checkpoint, tracker, processes)

        has_validation = bool(validator.pairs)
        if has_validation and not state.best_weights:
            raise UserError(
                f"train: no validation gave a number for {SCORE}, so there are no weights to keep; "
                "lower train.learning_rate, or look for extreme values in the features"
            )
        unseen = shards.left_out
        config = BundleConfig(
            clips=purpose.clips,
            backbone=purpose.backbone,
            backbone_sha256=backbone_digests(purpose.backbone_model) if purpose.backbone_model else {},
            speech_encoder=purpose.speech_encoder,
            speech_settings=dict(settings_of(purpose.speech_encoder, purpose.speech_form)),
            speech_projection=None if scaling.projection is None else scaling.projection.facts,
            expression_width=connector.expression_width,
            speech_width=connector.speech_width,
            network=params.network,
            step=state.best_step if has_validation else state.step,
            seed=seed,
            held_out_emotion=purpose.held_out_emotion,
            expression_deltas=_by_name(facts.emotion_deltas, {name: mean.expression for name, mean in unseen.items()}),
            speech_deltas=_by_name(facts.speech_deltas, {name: mean.speech for name, mean in unseen.items()}),
            versions=dict(versions()),
        )
        history = pd.DataFrame(state.history, columns=["step", "metric", "value"])
        report = TrainReport(
            num_steps=state.step,
            kept_step=config.step,
            is_stopped_early=state.step < params.num_steps,
            num_pairs=facts.num_pairs,
            num_clips=features.num_clips,
            num_validation_pairs=len(validator.pairs),
            num_short_lists=None if short_lists is None else len(short_lists),
            num_unused_clips=sampler.num_unused if features.bank else None,
            losses=_metrics_at(history, state.step, "train/"),
            validation=_metrics_at(history, config.step, "val/"),
        )
        if not processes.is_first:
            return report
        with fresh_folder(out) as folder:
            kept = state.best_weights if has_validation else state.validated.state_dict()
            save_bundle(folder, kept, config, scaling, speech_limit_S)
            history.to_parquet(folder / HISTORY)
            save_last(state, folder / LAST)
            if purpose.backbone_model is not None:
                copytree(purpose.backbone_model, folder / BACKBONE)
    return report


def _by_name(seen: dict[str, np.ndarray], unseen: dict[str, list[float]]) -> dict[str, list[float]]:
    """Deltas of all emotions, by the alphabet."""
    return dict(sorted(({emotion: delta.tolist() for emotion, delta in seen.items()} | unseen).items()))


def _run_steps(
    state: TrainingState,
    trained: nn.Module,
    validator: Validator,
    params: TrainParams,
    checkpoint: Path,
    tracker: Tracker,
    processes: Processes,
) -> None:
    watch = LossWatch(checkpoint.parent)
    clock = _Clock()
    with progress("train", params.num_steps, "step", state.step, is_quiet=not processes.is_first) as bar:
        while not state.is_over(params):
            with clock.waiting():
                batch = state.batches.draw()
            terms = trained(batch)
            state.optimizer.zero_grad()
            terms.total.backward()
            state.optimizer.step()
            state.update_average()
            state.step += 1
            bar.update()
            watch.see(state.step, terms.total, batch.clips_B4n, state.batches.sampler.bank.clip_ids)

            is_last = state.step == params.num_steps
            is_validated = bool(validator.pairs) and (is_last or state.step % params.validate_every == 0)
            is_saved = is_last or state.step % params.checkpoint_every == 0
            is_logged = is_last or state.step % params.log_every == 0
            if not (is_validated or is_saved or is_logged):
                continue
            watch.check()
            metrics = _validate(state, validator, processes) if is_validated else {}
            is_over = state.is_over(params)
            if is_logged or is_over:
                values = terms.values()
                metrics = {f"train/{name}": value for name, value in values.items()} | metrics
                bar.set_postfix({name: f"{value:.3g}" for name, value in values.items()}, refresh=False)
            speed = clock.read(state.step) if is_logged or is_over else {}
            if metrics:
                _note(state, metrics, tracker, speed)
            if is_saved or is_over:
                tracker.flush()
                state.save(checkpoint, processes)


def _validate(state: TrainingState, validator: Validator, processes: Processes) -> dict[str, float]:
    """Validation metrics of the present weights, or their average, which are kept if they are the best so far."""
    metrics = processes.from_first(lambda: validator.measure(state.validated, state.module.spread))
    state.keep_weights(metrics[SCORE])
    return metrics


def _note(state: TrainingState, metrics: dict[str, float], tracker: Tracker, speed: dict[str, float]) -> None:
    """Record metrics and show them; speed is shown only, since it is not the same in every run."""
    state.record(metrics)
    tracker.log_metrics(state.step, metrics | speed)


class _Clock:
    """How fast training is."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.waited_s = 0.0
        self.num_steps: int | None = None

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Time in the block is spent waiting for data."""
        started = time.perf_counter()
        yield
        self.waited_s += time.perf_counter() - started

    def read(self, step: int) -> dict[str, float]:
        """Speed since the last reading; none at the first, when it is not known how many steps there were."""
        now = time.perf_counter()
        elapsed_s, num = now - self.started, 0 if self.num_steps is None else step - self.num_steps
        waited_s = self.waited_s
        self.started, self.waited_s, self.num_steps = now, 0.0, step
        return {"time/steps_per_s": num / elapsed_s, "time/data_share": waited_s / elapsed_s} if num else {}


def _metrics_at(history: pd.DataFrame, step: int, prefix: str) -> dict[str, float]:
    rows = history[(history["step"] == step) & history["metric"].str.startswith(prefix)]
    return {name.removeprefix(prefix): float(value) for name, value in zip(rows["metric"], rows["value"], strict=True)}
