"""All clips of a split in memory, as the sampler wants them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cmet.errors import UserError
from cmet.shards import ClipSample
from cmet.vocabulary import EMOTIONS

# C clips, S speech features, F frames of all clips, K expression components

NEUTRAL_INDEX = EMOTIONS.index("neutral")
NEUTRAL_LEVEL = 1
NO_LEVEL = 0
"""Level of the emotional clips of a corpus that has none."""


@dataclass(frozen=True, eq=False)
class FeatureBank:
    """Clips of a split, each once, in the order speaker, sentence, clip id; frames lie one after the other."""

    clip_ids: list[str]
    speech_CS: Tensor
    """Scaled speech embeddings."""
    frames_FK: Tensor
    """Expression codes of all clips."""
    sums_RK: Tensor
    """Running sums of every clip's codes, R = F + C rows: clip c has one more row than frames, a zero first."""
    starts_C: Tensor
    """First frame of each clip; its running sums begin at `starts_C + c`."""
    num_frames_C: Tensor
    speaker_C: Tensor
    emotion_C: Tensor
    """Index into EMOTIONS."""
    level_C: Tensor
    """1 for neutral clips, 0 where the corpus has no levels."""
    is_drawn_C: Tensor
    """Whether a sample may begin with this clip; MEAD's published lists leave sentences out."""
    is_averaged_C: Tensor
    """Whether the clip takes part in means of expression codes; true wherever `is_drawn_C` is."""

    @classmethod
    def from_clips(cls, clips: Iterable[ClipSample], device: torch.device) -> "FeatureBank":
        """Take in clips of any order; one that comes again counts once.

        Raises:
            UserError: There are no clips, or one has an emotion outside the vocabulary.
        """
        found = _by_id(clips)
        if not found:
            raise UserError("train: the training split holds no pairs; see the counts that 'cmet shards' printed")
        unknown = sorted({clip.emotion for clip in found} - set(EMOTIONS))
        if unknown:
            raise UserError(f"train: the shards hold unknown emotions {unknown}; expected only {list(EMOTIONS)}")
        num_frames_C = np.array([len(clip.expression) for clip in found])
        starts_C = num_frames_C.cumsum() - num_frames_C
        frames_FK = np.concatenate([clip.expression for clip in found])
        speech_CS = np.stack([clip.speech for clip in found])
        labels = [(clip.speaker, clip.emotion, _level(clip), *_in_lists(clip)) for clip in found]
        clip_ids = [clip.clip_id for clip in found]
        # the arrays of the clips are not needed any more, and the sums are as large
        del found
        speakers, emotions, levels, is_drawn, is_averaged = zip(*labels, strict=True)
        numbers = {speaker: number for number, speaker in enumerate(sorted(set(speakers)))}
        return cls(
            clip_ids=clip_ids,
            speech_CS=torch.from_numpy(speech_CS).to(device),
            frames_FK=torch.from_numpy(frames_FK).to(device),
            sums_RK=torch.from_numpy(_running_sums(frames_FK, starts_C, num_frames_C)).to(device),
            starts_C=torch.from_numpy(starts_C).to(device),
            num_frames_C=torch.from_numpy(num_frames_C).to(device),
            speaker_C=torch.tensor([numbers[speaker] for speaker in speakers], device=device),
            emotion_C=torch.tensor([EMOTIONS.index(emotion) for emotion in emotions], device=device),
            level_C=torch.tensor(levels, device=device),
            is_drawn_C=torch.tensor(is_drawn, device=device),
            is_averaged_C=torch.tensor(is_averaged, device=device),
        )


def _by_id(clips: Iterable[ClipSample]) -> list[ClipSample]:
    found: dict[str, ClipSample] = {}
    for clip in clips:
        # a neutral clip is part of many pairs; the first copy is kept and the others are freed at once
        found.setdefault(clip.clip_id, clip)
    return sorted(found.values(), key=lambda clip: (clip.speaker, clip.sentence, clip.clip_id))


def _level(clip: ClipSample) -> int:
    if clip.emotion == EMOTIONS[NEUTRAL_INDEX]:
        return NEUTRAL_LEVEL
    return NO_LEVEL if clip.intensity is None else clip.intensity


def _in_lists(clip: ClipSample) -> tuple[bool, bool]:
    """Whether the clip is drawn, and whether it is averaged: the published data set takes some sentences of MEAD."""
    if clip.corpus != "mead":
        return True, True
    sentence = int(clip.sentence)
    generic = range(31, 41) if clip.emotion == "neutral" else range(21, 31)
    is_drawn = sentence in range(1, 4) or sentence in generic
    return is_drawn, is_drawn or sentence in range(4, 11)


def _running_sums(frames_FK: np.ndarray, starts_C: np.ndarray, num_frames_C: np.ndarray) -> np.ndarray:
    sums_RK = np.zeros((len(frames_FK) + len(starts_C), frames_FK.shape[1]), np.float32)
    for clip, (start, num_frames) in enumerate(zip(starts_C, num_frames_C, strict=True)):
        first = start + clip + 1
        frames = frames_FK[start : start + num_frames]
        sums_RK[first : first + num_frames] = frames.cumsum(0, dtype=np.float64)
    return sums_RK
