"""What training reads from shards, in one pass over every byte before the first step."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from cmet.connector.bank import FeatureBank
from cmet.errors import UserError
from cmet.params import TrainParams
from cmet.progress import counted
from cmet.shards import UNPAIRED, ClipSample, PairSample, Shard, check_shards, read_pairs, read_shards, read_unpaired

# S speech features, K expression components, Q speech deltas that validation asks about

Group = tuple[str, int | None]
"""Emotion and intensity."""


@dataclass
class PairFacts:
    """What is said of the training pairs without keeping them."""

    num_pairs: int = 0
    speech_limit_S: np.ndarray = field(default_factory=lambda: np.zeros((), np.float32))
    """Largest scaled speech delta per feature, without sign."""
    sums: dict[str, np.ndarray] = field(default_factory=lambda: defaultdict(lambda: np.zeros(())))
    """Sum of the expression deltas of each emotion, float64."""
    speech_sums: dict[str, np.ndarray] = field(default_factory=lambda: defaultdict(lambda: np.zeros(())))
    """Sum of the scaled speech deltas of each emotion, float64."""
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    distances: dict[Group, float] = field(default_factory=dict)
    nearest: dict[Group, np.ndarray] = field(default_factory=dict)
    """Expression delta of the training pair whose speech delta is nearest (Euclidean) to each of validation's."""

    def add(self, pair: PairSample, asked: dict[Group, np.ndarray]) -> None:
        """Count a pair in."""
        self.num_pairs += 1
        self.speech_limit_S = np.maximum(self.speech_limit_S, np.abs(pair.speech_delta))
        self.sums[pair.emotion] = self.sums[pair.emotion] + pair.expression_delta.astype(np.float64)
        self.speech_sums[pair.emotion] = self.speech_sums[pair.emotion] + pair.speech_delta.astype(np.float64)
        self.counts[pair.emotion] += 1
        for group, delta_S in asked.items():
            distance = float(np.linalg.norm(delta_S - pair.speech_delta))
            if distance < self.distances.get(group, np.inf):
                self.distances[group], self.nearest[group] = distance, pair.expression_delta

    @property
    def mean_delta_K(self) -> np.ndarray:
        """Mean expression delta of all training pairs, float32."""
        total_K = np.sum([self.sums[emotion] for emotion in sorted(self.sums)], axis=0)
        return np.asarray(total_K / self.num_pairs, np.float32)

    @property
    def emotion_deltas(self) -> dict[str, np.ndarray]:
        """Mean expression delta of each emotion, float32."""
        return self._means(self.sums)

    @property
    def speech_deltas(self) -> dict[str, np.ndarray]:
        """Mean scaled speech delta of each emotion, float32."""
        return self._means(self.speech_sums)

    def _means(self, sums: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {emotion: (sums[emotion] / self.counts[emotion]).astype(np.float32) for emotion in sorted(sums)}


@dataclass(frozen=True)
class TrainingShards:
    """The shards that training draws from."""

    folder: Path
    pairs: list[Shard]
    unpaired: list[Shard]
    excluded: frozenset[str]
    """Emotions whose clips are not there for training."""

    def read(self, pairs: Iterable[Shard], unpaired: Iterable[Shard]) -> Iterator[PairSample | ClipSample]:
        """Samples of some of the shards."""
        yield from read_pairs(self.folder, pairs)
        yield from read_unpaired(self.folder, unpaired)

    def clips_of(self, samples: Iterable[PairSample | ClipSample]) -> Iterator[ClipSample]:
        """Clips of the samples; a neutral one comes with each of its pairs."""
        for sample in samples:
            for clip in sample.clips() if isinstance(sample, PairSample) else (sample,):
                if clip.emotion not in self.excluded:
                    yield clip


@dataclass(frozen=True)
class TrainingFeatures:
    """What the shards hold for training."""

    shards: TrainingShards
    bank: FeatureBank | None
    """All clips; None where params wants only some shards in memory."""
    validation_pairs: list[PairSample]
    facts: PairFacts
    num_clips: int
    expression_width: int
    speech_width: int


def read_features(folder: Path, params: TrainParams, device: torch.device, is_shown: bool = True) -> TrainingFeatures:
    """Read and check all shards of the training and validation splits.

    Raises:
        UserError: A shard is missing, cut or altered, or holds values that are no numbers; the training split is empty.
    """
    entries = check_shards(folder, ("train", "val", UNPAIRED))
    excluded = frozenset(params.excluded_emotions if params.sampler == "corrected" else ())
    shards = TrainingShards(folder, entries["train"], entries[UNPAIRED], excluded)
    validation_pairs = list(read_shards(folder, "val"))
    asked = pooled_speech(validation_pairs)
    facts, clip_ids = PairFacts(), set()
    widths = (0, 0)

    def seen() -> Iterator[ClipSample]:
        nonlocal widths
        num = sum(shard.n for shard in [*shards.pairs, *shards.unpaired])
        samples = shards.read(shards.pairs, shards.unpaired)
        for sample in counted(samples, "train: read", num, "sample", is_quiet=not is_shown):
            if isinstance(sample, PairSample) and sample.emotion not in excluded:
                facts.add(sample, asked)
            for clip in shards.clips_of([sample]):
                clip_ids.add(clip.clip_id)
                before, widths = widths, (clip.expression.shape[1], len(clip.speech))
                if before not in ((0, 0), widths):
                    raise UserError(
                        f"{folder}: {clip.clip_id} has expression and speech of {widths} values, clips before it of "
                        f"{before}; run 'cmet shards' again"
                    )
                yield clip

    bank = None
    if params.shards_in_memory is None:
        bank = FeatureBank.from_clips(seen(), device)
    else:
        for _ in seen():
            pass
    if not facts.num_pairs:
        raise UserError("train: the training split holds no pairs; see the counts that 'cmet shards' printed")
    return TrainingFeatures(shards, bank, validation_pairs, facts, len(clip_ids), *widths)


def pooled_speech(pairs: list[PairSample]) -> dict[Group, np.ndarray]:
    """Mean speech delta (S,) of the pairs of each emotion and level."""
    pools = defaultdict(list)
    for pair in pairs:
        pools[pair.emotion, pair.intensity].append(pair.speech_delta)
    return {group: np.mean(deltas, axis=0) for group, deltas in pools.items()}
