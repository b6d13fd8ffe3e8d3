"""Training a judge on unedited clips of the training speakers."""

# N frames, P pixels of a side, S samples of a batch: frames or clips, C classes

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from cmet.clips.product import Clips
from cmet.environment import versions
from cmet.errors import UserError
from cmet.judge.augmentation import augment
from cmet.judge.card import ALIGNMENT, CARD, HISTORY, WEIGHTS, JudgeCard, trained_classes
from cmet.judge.checkpoints import sha256_of, start_from
from cmet.judge.classifier import ClipClassifier
from cmet.judge.clips import usable_clips, videos_of
from cmet.judge.emotion_fan import PlainJudge
from cmet.judge.frames import CLIPS_AT_ONCE, read_frames, to_tensor
from cmet.judge.networks import KINDS
from cmet.judge.pictures import HeldFrames, StreamedClips, TrainingPictures, readable_clips
from cmet.optimizers import uncompiled
from cmet.outputs import fresh_folder, write_json
from cmet.params import JudgeParams
from cmet.progress import counted, progress
from cmet.weights.containers import not_finite

HISTORY_COLUMNS = ["step", "split", "metric", "value"]


@dataclass(frozen=True)
class JudgeReport:
    """What making the judge came to."""

    num_train_clips: int
    num_val_clips: int
    num_parameters: int
    acc_train: float | None
    """None for a released judge."""
    acc_val: float | None
    sha256: str


@dataclass(frozen=True)
class TrainingRecipe:
    """How a kind of network learns."""

    optimizer: Optimizer
    schedule: LRScheduler
    """Goes on with every batch."""
    label_smoothing: float
    is_augmented: bool


def train_judge(clips: Clips, out: Path, params: JudgeParams, seed: int, begin_from: Path | None = None) -> JudgeReport:
    """Train the judge on unedited clips of the training speakers, and write it with its card.

    Args:
        clips: Prepared clips, of all splits; those of other emotions and quarantined ones are left out here.
        out: Folder of the judge.
        params: The `judge` section of params.yaml.
        seed: Decides the first weights, the order and every augmentation; on a CPU identical input gives identical
            bytes.
        begin_from: The file behind `judge.begin_from`.

    Raises:
        UserError: There are no clips to train on, they are all of one emotion, `begin_from` is no ResNet-18, or the
            weights do not stay finite.
        ClipError: A prepared clip cannot be read.
    """
    classes = trained_classes(params.has_neutral)
    train, val = (usable_clips(clips, classes, split) for split in ("train", "val"))
    _refuse_few(train, clips)
    labels_V = np.array([classes.index(emotion) for emotion in train["emotion"]])
    pictures = _pictures(videos_of(train, clips), labels_V, params)
    network, history = _fit(pictures, len(classes), params, seed, begin_from)
    classifier = ClipClassifier(network, params.network, classes, params.image_px, params.num_frames)
    with fresh_folder(out) as folder:
        weights = {name: weight.cpu().contiguous() for name, weight in network.state_dict().items()}
        if not_finite(weights):
            raise UserError("judge: training led to weights that are no numbers; lower judge.learning_rate")
        save_file(weights, folder / WEIGHTS)
        history.to_parquet(folder / HISTORY, index=False)
        card = JudgeCard(
            network=params.network,
            source="trained here",
            classes=list(classes),
            has_neutral=params.has_neutral,
            image_px=params.image_px,
            num_frames=params.num_frames,
            alignment=ALIGNMENT,
            weights=WEIGHTS,
            sha256=sha256_of(folder / WEIGHTS),
            num_parameters=sum(weight.numel() for weight in network.parameters()),
            begin_from=params.begin_from,
            begin_from_sha256=sha256_of(begin_from) if begin_from else None,
            corpus=", ".join(sorted(train["corpus"].unique())),
            train_speakers=sorted(train["speaker"].unique()),
            num_train_clips=len(train),
            num_clips_per_class={emotion: int((train["emotion"] == emotion).sum()) for emotion in classes},
            trained_on=None,
            params=params,
            seed=seed,
            acc_train=_accuracy_on(classifier, pictures, labels_V),
            acc_val=classifier.accuracy(videos_of(val, clips), list(val["emotion"]), "judge: validation"),
            clips=clips.form,
            versions=dict(versions()),
        )
        write_json(folder / CARD, card.model_dump())
    return JudgeReport(len(train), len(val), card.num_parameters, card.acc_train, card.acc_val, card.sha256)


def _refuse_few(train: pd.DataFrame, clips: Clips) -> None:
    if train.empty:
        raise UserError(f"{clips.folder}: no training speaker has a usable emotional clip to train a judge on")
    if train["emotion"].nunique() < 2:
        raise UserError(
            f"{clips.folder}: all {len(train)} usable clips of the training speakers show one emotion, "
            f"{train['emotion'].iloc[0]}; a judge learns to tell emotions apart and needs two or more"
        )


def _pictures(paths: Sequence[Path], labels_V: np.ndarray, params: JudgeParams) -> TrainingPictures:
    """Small pictures stay in memory; those of a ResNet-18, 2.4 MB a clip, are read anew in every epoch."""
    num_frames, resize = params.num_train_frames, KINDS[params.network].resize
    if params.network == "resnet18":
        return StreamedClips(paths, labels_V, params.batch_size, num_frames, params.image_px, resize)
    read = readable_clips(read_frames(paths, num_frames, params.image_px, resize))
    shown = counted(read, "judge: frames", len(paths), "clip")
    return HeldFrames(shown, labels_V, params.batch_size)


def _fit(
    pictures: TrainingPictures, num_classes: int, params: JudgeParams, seed: int, begin_from: Path | None
) -> tuple[nn.Module, pd.DataFrame]:
    order = np.random.default_rng([seed, 1])
    generator = torch.Generator().manual_seed(seed)
    kind, num_batches = KINDS[params.network], pictures.num_batches
    history = []
    shown = progress("judge: training", num_batches * params.num_epochs, "batch")
    # dropout and the first weights read torch's global random state: set it here, give it back afterwards
    with torch.random.fork_rng(devices=[]), kind.training_threads(), shown as bar:
        torch.default_generator.manual_seed(seed)
        network = kind.make(num_classes).train()
        if begin_from is not None and isinstance(network, PlainJudge):
            start_from(network, begin_from)
        network.to(kind.device)
        recipe = _RECIPES[params.network](network, params, num_batches)
        for epoch in range(1, params.num_epochs + 1):
            losses, hits = [], 0
            for frames_NHWC, labels_S in pictures.batches(order):
                frames, targets = to_tensor(frames_NHWC), torch.from_numpy(labels_S).to(kind.device)
                changed = augment(frames, generator) if recipe.is_augmented else frames
                logits = network(changed.to(kind.device)).unflatten(0, (len(labels_S), -1)).mean(1)
                loss = functional.cross_entropy(logits, targets, label_smoothing=recipe.label_smoothing)
                recipe.optimizer.zero_grad()
                loss.backward()
                recipe.optimizer.step()
                recipe.schedule.step()
                losses.append(loss.item())
                hits += int((logits.argmax(dim=1) == targets).sum())
                bar.update()
            accuracy = hits / pictures.num_samples
            history += [(epoch, "train", "loss", float(np.mean(losses))), (epoch, "train", "acc", accuracy)]
    return network.eval(), pd.DataFrame(history, columns=HISTORY_COLUMNS)


def _small_recipe(network: nn.Module, params: JudgeParams, num_batches: int) -> TrainingRecipe:
    optimizer = uncompiled(torch.optim.AdamW)(network.parameters(), params.learning_rate, weight_decay=0.05)
    # the learning rate rises during the first fifth of the steps
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, params.learning_rate, total_steps=num_batches * params.num_epochs, pct_start=0.2
    )
    return TrainingRecipe(optimizer, schedule, label_smoothing=0.1, is_augmented=True)


def _paper_recipe(network: nn.Module, params: JudgeParams, num_batches: int) -> TrainingRecipe:
    """As emotion_finetune.py among the evaluation scripts of C-MET.

    Differs from the paper: the last epoch is kept, there the one that is best on the benchmark's own clips.
    """
    optimizer = uncompiled(torch.optim.SGD)(network.parameters(), params.learning_rate, momentum=0.9, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=30 * num_batches, gamma=0.2)
    return TrainingRecipe(optimizer, schedule, label_smoothing=0, is_augmented=False)


_RECIPES = {"small": _small_recipe, "resnet18": _paper_recipe}


def _accuracy_on(classifier: ClipClassifier, pictures: TrainingPictures, labels_V: np.ndarray) -> float:
    """Clips named rightly by the mean of the frames that the network was trained on."""
    clips, said = pictures.clips(), []
    while batch := list(islice(clips, CLIPS_AT_ONCE)):
        said.append(classifier.mean_logits(batch).argmax(axis=1))
    return float(np.mean(np.concatenate(said) == labels_V))
