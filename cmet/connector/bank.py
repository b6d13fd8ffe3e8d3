"""All clips of a split in memory, as the sampler wants them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cmet.errors import UserError
from cmet.params import EMOTIONS
from cmet.shards import PairSample

# C clips, S speech features, L frames of the longest clip, K expression components

NEUTRAL = EMOTIONS.index("neutral")
NEUTRAL_LEVEL = 1
NO_LEVEL = 0
"""Level of the emotional clips of a corpus that has none."""


@dataclass(frozen=True, eq=False)
class FeatureBank:
    """The clips behind the pairs of a split, each once, in the order speaker, sentence, clip id."""

    clip_ids: list[str]
    speech_CS: Tensor
    """Scaled speech embeddings."""
    expression_CLK: Tensor
    """Expression codes, zero after the end of a clip."""
    num_frames_C: Tensor
    speaker_C: Tensor
    emotion_C: Tensor
    """Index into EMOTIONS."""
    level_C: Tensor
    """1 for neutral clips, 0 where the corpus has no levels."""
    sentence_C: Tensor

    @classmethod
    def from_pairs(cls, pairs: Iterable[PairSample], device: torch.device) -> "FeatureBank":
        """Take the clips out of pairs.

        Raises:
            UserError: There are no pairs, or one has an emotion outside the vocabulary.
        """
        clips = sorted({clip.clip_id: clip for pair in pairs for clip in _clips_of(pair)}.values(), key=_order)
        if not clips:
            raise UserError("train: the training split holds no pairs; see the counts that 'cmet shards' printed")
        unknown = sorted({clip.emotion for clip in clips} - set(EMOTIONS))
        if unknown:
            raise UserError(f"train: expected emotions of {list(EMOTIONS)}, found {unknown}")

        num_frames = [len(clip.expression_TK) for clip in clips]
        expression_CLK = np.zeros((len(clips), max(num_frames), clips[0].expression_TK.shape[1]), np.float32)
        for row, clip in zip(expression_CLK, clips, strict=True):
            row[: len(clip.expression_TK)] = clip.expression_TK
        return cls(
            clip_ids=[clip.clip_id for clip in clips],
            speech_CS=torch.from_numpy(np.stack([clip.speech_S for clip in clips])).to(device),
            expression_CLK=torch.from_numpy(expression_CLK).to(device),
            num_frames_C=torch.tensor(num_frames, device=device),
            speaker_C=_numbered([clip.speaker for clip in clips], device),
            emotion_C=torch.tensor([EMOTIONS.index(clip.emotion) for clip in clips], device=device),
            level_C=torch.tensor([clip.level for clip in clips], device=device),
            sentence_C=_numbered([clip.sentence for clip in clips], device),
        )


@dataclass(frozen=True, eq=False)
class _Clip:
    clip_id: str
    speaker: str
    sentence: str
    emotion: str
    level: int
    speech_S: np.ndarray
    expression_TK: np.ndarray


def _clips_of(pair: PairSample) -> tuple[_Clip, _Clip]:
    level = NO_LEVEL if pair.intensity is None else pair.intensity
    return (
        _Clip(
            pair.neutral_clip,
            pair.speaker,
            pair.sentence,
            EMOTIONS[NEUTRAL],
            NEUTRAL_LEVEL,
            pair.neutral_speech,
            pair.neutral_expression,
        ),
        _Clip(
            pair.emotional_clip,
            pair.speaker,
            pair.sentence,
            pair.emotion,
            level,
            pair.emotional_speech,
            pair.emotional_expression,
        ),
    )


def _order(clip: _Clip) -> tuple[str, str, str]:
    return clip.speaker, clip.sentence, clip.clip_id


def _numbered(labels: list[str], device: torch.device) -> Tensor:
    numbers = {label: number for number, label in enumerate(sorted(set(labels)))}
    return torch.tensor([numbers[label] for label in labels], device=device)
