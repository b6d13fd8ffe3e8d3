"""How well a Connector does on the validation pairs, each used once and in a fixed order."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cmet.connector.bank import NEUTRAL_INDEX
from cmet.connector.bundle import clamp_delta
from cmet.connector.features import PairFacts, pooled_speech
from cmet.connector.inference import roll_out
from cmet.connector.losses import loss_terms
from cmet.connector.network import Connector
from cmet.params import TrainParams
from cmet.shards import PairSample
from cmet.vocabulary import EMOTIONS

# B pairs at once, T frames of a window, N frames of a clip, S speech features, K expression components

SCORE = "val/delta_mse"
"""The metric that decides which weights are kept; smaller is better."""


class Validator:
    """Measures a Connector on the pairs of a split.

    `val/regression` and the other loss terms look at the middle window of each pair and hand it the true
    delta as reference, as training does. `val/delta_*` predict the whole neutral clip from speech alone, as
    editing does, and compare the mean over time with the true expression delta. The speech of an emotion and level is
    pooled over the split, as the evaluation pools it: the delta of a single clip is mostly noise.

    Beside them stand what simpler predictions reach, from the training pairs: `_zero` no edit, `_mean` the mean delta
    of all, `_emotion_mean` the mean delta of the emotion (which is told the label that C-MET has to hear), `_nearest`
    the delta of the pair with the nearest speech delta. Emotions that are excluded from training are measured
    but have no part in `SCORE`.
    """

    def __init__(
        self, pairs: list[PairSample], facts: PairFacts, speech_limit_S: np.ndarray, params: TrainParams
    ) -> None:
        """Put the pairs in order of their keys, and measure the simpler predictions.

        Args:
            pairs: Those of the split; of more than `max_validation_pairs` a sample is measured, the same one always.
            facts: What is said of the training pairs.
            speech_limit_S: Largest scaled speech delta of each feature that the Connector was trained on.
            params: The `train` section.
        """
        ordered = sorted(pairs, key=lambda pair: pair.key)
        self.speech_deltas = pooled_speech(ordered)
        self.pairs = _sample(ordered, params.max_validation_pairs)
        self.speech_limit_S = speech_limit_S
        self.params = params
        self.is_scored_B = torch.tensor([pair.emotion not in params.excluded_emotions for pair in self.pairs])
        if self.pairs and not self.is_scored_B.any():
            # there is nothing better to choose weights by
            self.is_scored_B = torch.ones_like(self.is_scored_B)
        self.baselines = self._baselines(facts) if self.pairs else {}

    @torch.no_grad()
    def measure(self, connector: Connector, spread: Tensor) -> dict[str, float]:
        """Metrics by name; the connector comes back in train mode."""
        connector.eval()
        sums: defaultdict[str, float] = defaultdict(float)
        predicted = []
        for pairs in self._batches():
            for name, value in self._loss_terms(connector, pairs, spread).items():
                sums[f"val/{name}"] += value * len(pairs) / len(self.pairs)
            predicted.append(self._predict(connector, pairs))
        connector.train()
        return dict(sums) | self._compare(torch.cat(predicted)) | self.baselines

    def _batches(self) -> Iterator[list[PairSample]]:
        size = self.params.batch_size
        return (self.pairs[start : start + size] for start in range(0, len(self.pairs), size))

    def _loss_terms(self, connector: Connector, pairs: list[PairSample], spread: Tensor) -> dict[str, float]:
        device = spread.device
        window = self.params.network.window
        source_BTK, target_BTK = (t.to(device) for t in _middle_windows(pairs, window))
        delta_BTK = _true_deltas(pairs).to(device)[:, None].expand(-1, window, -1)
        speech_B1S = self._speech(pairs).to(device)[:, None]
        labels_B = torch.tensor([EMOTIONS.index(pair.emotion) for pair in pairs], device=device)
        neutral_B = torch.full_like(labels_B, NEUTRAL_INDEX)
        forward, backward = connector.passes(
            [(delta_BTK, speech_B1S, source_BTK), (-delta_BTK, -speech_B1S, target_BTK)]
        )
        return loss_terms(forward, backward, delta_BTK, labels_B, neutral_B, self.params, spread).values()

    def _predict(self, connector: Connector, pairs: list[PairSample]) -> Tensor:
        """Mean over time of the predicted deltas, shape (B, K)."""
        num_frames = [len(pair.neutral_expression) for pair in pairs]
        # a clip is filled up with its last frame, as a last window is: what is predicted before stays as it was
        codes_BNK = np.stack(
            [
                np.pad(pair.neutral_expression, ((0, max(num_frames) - num), (0, 0)), mode="edge")
                for pair, num in zip(pairs, num_frames, strict=True)
            ]
        )
        deltas_BNK = roll_out(connector, self._speech(pairs), torch.from_numpy(codes_BNK)).cpu()
        return torch.stack([rows[:num].mean(0) for rows, num in zip(deltas_BNK, num_frames, strict=True)])

    def _speech(self, pairs: list[PairSample]) -> Tensor:
        deltas_BS = np.stack([self.speech_deltas[pair.emotion, pair.intensity] for pair in pairs])
        return torch.from_numpy(clamp_delta(deltas_BS, self.speech_limit_S))

    def _compare(self, predicted_BK: Tensor) -> dict[str, float]:
        cosines_B = functional.cosine_similarity(predicted_BK, _true_deltas(self.pairs), dim=-1)
        emotions = np.array([pair.emotion for pair in self.pairs])
        return self._accuracy("", predicted_BK) | {
            f"val/delta_cosine_{emotion}": float(cosines_B[torch.from_numpy(emotions == emotion)].mean())
            for emotion in sorted(set(emotions.tolist()))
        }

    def _baselines(self, facts: PairFacts) -> dict[str, float]:
        true_BK = _true_deltas(self.pairs)
        mean_K, emotion_means = facts.mean_delta_K, facts.emotion_deltas
        # an emotion that was not trained on has no mean of its own
        own_means = [emotion_means.get(pair.emotion, mean_K) for pair in self.pairs]
        nearest = [facts.nearest[pair.emotion, pair.intensity] for pair in self.pairs]
        metrics = self._accuracy("_zero", torch.zeros_like(true_BK))
        del metrics["val/delta_cosine_zero"]
        return (
            metrics
            | self._accuracy("_mean", torch.from_numpy(mean_K).expand_as(true_BK))
            | self._accuracy("_emotion_mean", torch.from_numpy(np.stack(own_means)))
            | self._accuracy("_nearest", torch.from_numpy(np.stack(nearest)))
        )

    def _accuracy(self, suffix: str, predicted_BK: Tensor) -> dict[str, float]:
        true_BK, predicted_BK = _true_deltas(self.pairs)[self.is_scored_B], predicted_BK[self.is_scored_B]
        return {
            SCORE + suffix: float(functional.mse_loss(predicted_BK, true_BK)),
            f"val/delta_cosine{suffix}": float(functional.cosine_similarity(predicted_BK, true_BK, dim=-1).mean()),
        }


def _sample(pairs: list[PairSample], size: int) -> list[PairSample]:
    """As many of the pairs, chosen by the hashes of their keys alone, in the same order."""
    if len(pairs) <= size:
        return pairs
    by_hash = sorted(pairs, key=lambda pair: hashlib.sha256(pair.key.encode()).digest())
    kept = {pair.key for pair in by_hash[:size]}
    return [pair for pair in pairs if pair.key in kept]


def _true_deltas(pairs: list[PairSample]) -> Tensor:
    return torch.from_numpy(np.stack([pair.expression_delta for pair in pairs]))


def _middle_windows(pairs: list[PairSample], window: int) -> tuple[Tensor, Tensor]:
    """Neutral and emotional codes of the same frames, in the middle of the shorter clip, shape (B, T, K)."""
    neutral, emotional = [], []
    for pair in pairs:
        start = (min(len(pair.neutral_expression), len(pair.emotional_expression)) - window) // 2
        neutral.append(pair.neutral_expression[start : start + window])
        emotional.append(pair.emotional_expression[start : start + window])
    return torch.from_numpy(np.stack(neutral)), torch.from_numpy(np.stack(emotional))
