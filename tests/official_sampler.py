"""Training samples as the published data set makes them, file by file, to compare `cmet.connector.sampler` with.

A reading of ChanHyeok-Choi/C-MET at bd384ac, `Dataset` in mode `mean` with direction `average`, slow where the
published code is slow.

Layout    train.txt with a speaker per line, and <ID>/front/<emotion>/level_<k>/ with NNN.mp4 (looked for, never
          opened), NNN_ED_exp.npy and emotion2vec+large_features/NNN.npy
"""

import os
import random
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from torch.utils.data import Dataset, get_worker_info

from cmet.shards import ClipSample
from cmet.vocabulary import EMOTIONS

# N frames of a sample, T frames of a window, K expression components, S speech features

WINDOW = 5
NUM_CLIPS = 10
FIRST_STRIDE, SECOND_STRIDE = 1, 7
MAX_TRIES = 1000
COMMON, FIRST_TEN = range(1, 4), range(1, 11)
GENERIC, NEUTRAL_GENERIC = range(21, 31), range(31, 41)
NUM_SENTENCES, NUM_NEUTRAL_SENTENCES = 30, 40
LEVELS = (1, 2, 3)
SPEECH = "emotion2vec+large_features"

Load = Callable[[str], np.ndarray]


DRAWN_SENTENCES = {emotion: [*COMMON, *(NEUTRAL_GENERIC if emotion == "neutral" else GENERIC)] for emotion in EMOTIONS}
"""Sentences that a sample may begin with."""
AVERAGED_SENTENCES = {
    emotion: [*FIRST_TEN, *(NEUTRAL_GENERIC if emotion == "neutral" else GENERIC)] for emotion in EMOTIONS
}
"""Sentences that expression means are made of."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """What is decided for one sample, apart from its speech."""

    speaker: str
    first: str
    second: str
    level: int
    paths: list[tuple[str, str]]
    """Expression files of emotion 1 and emotion 2."""
    first_NK: np.ndarray
    """Mean of the files of emotion 1, as long as that of emotion 2."""
    second_NK: np.ndarray
    start: int


class Windows(NamedTuple):
    """What a sample holds of the face, each of shape (T, K)."""

    reference: np.ndarray
    source: np.ndarray
    target: np.ndarray
    direction: np.ndarray


class Sample(NamedTuple):
    """What the loader puts together to batches."""

    speech: np.ndarray
    reference: np.ndarray
    source: np.ndarray
    target: np.ndarray
    direction: np.ndarray
    labels: np.ndarray
    second_speech: np.ndarray
    first_speech: np.ndarray


class OfficialDataset(Dataset[Sample]):
    """The published data set on a tree of feature files."""

    def __init__(
        self,
        root: Path,
        *,
        speaker: Literal["same", "different"] = "same",
        excluded: Collection[str] = (),
        seed: int = 0,
        load: Load = np.load,
    ) -> None:
        self.root, self.speaker, self.excluded, self.load = root, speaker, frozenset(excluded), load
        self.random = random.Random(seed)
        self.speakers = [line.split()[0] for line in (root / "train.txt").read_text(encoding="utf-8").splitlines()]
        self.clips = [
            path
            for speaker_id in self.speakers
            for path in sorted((root / speaker_id).glob("*/*/level_*/*.mp4"))
            if int(path.stem) in DRAWN_SENTENCES[path.parts[-3]]
        ]
        self.speech_lists: dict[tuple[str, int], list[str]] = {
            (emotion, level): [
                str(path)
                for speaker_id in self.speakers
                for path in sorted(Path(self.folder(speaker_id, emotion, level), SPEECH).glob("*.npy"))
            ]
            for emotion in EMOTIONS
            for level in (LEVELS if emotion != "neutral" else LEVELS[:1])
        }

    def folder(self, speaker: str, emotion: str, level: int) -> str:
        """Files of a group of clips; neutral has one level only."""
        # text, as in the published code: building paths would take a third of the time
        return f"{self.root}/{speaker}/front/{emotion}/level_{1 if emotion == 'neutral' else level}"

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> Sample:
        drawn = self.draw()
        first_S, second_S = self.speech_means(drawn.first, drawn.second, drawn.level, index)
        windows = windows_at(drawn.first_NK, drawn.second_NK, drawn.start)
        labels = np.full((WINDOW, 1), EMOTIONS.index(drawn.second))
        return Sample((second_S - first_S)[None], *windows, labels, second_S[None], first_S[None])

    def draw(self) -> Drawn:
        """Decide on a sample; the loader's index has no part in this."""
        for _ in range(MAX_TRIES):
            path = self.random.choice(self.clips)
            speaker, first, level = path.parts[-5], path.parts[-3], int(path.parts[-2].removeprefix("level_"))
            second = self.random.choice([emotion for emotion in EMOTIONS if emotion != first])
            if self.speaker == "different":
                speaker = self.random.choice(self.speakers)
            if {first, second} <= self.excluded:
                continue
            folders = self.folder(speaker, first, level), self.folder(speaker, second, level)
            paths = [self._draw_pair(folders, (first, second)) for _ in range(NUM_CLIPS)]
            first_NK, second_NK = (cyclic_mean([self.load(pair[side]) for pair in paths]) for side in (0, 1))
            num_frames = min(len(first_NK), len(second_NK))
            if num_frames < WINDOW:
                continue
            start = self.random.randint(0, num_frames - WINDOW)
            return Drawn(speaker, first, second, level, paths, first_NK[:num_frames], second_NK[:num_frames], start)
        raise IndexError(f"no sample found in {MAX_TRIES} tries")

    def speech_means(self, first: str, second: str, level: int, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean speech of both emotions, by the loader's index."""
        means = []
        for emotion, stride in ((first, FIRST_STRIDE), (second, SECOND_STRIDE)):
            paths = self.speech_lists[emotion, 1 if emotion == "neutral" else level]
            chosen = [paths[(index + stride * step) % len(paths)] for step in range(NUM_CLIPS)]
            means.append(np.mean([self.load(path) for path in chosen], axis=0))
        return means[0], means[1]

    def _draw_pair(self, folders: tuple[str, str], emotions: tuple[str, str]) -> tuple[str, str]:
        """Files of one sentence each; both are drawn again where one of them is missing."""
        while True:
            first, second = (
                f"{folder}/{self.random.choice(AVERAGED_SENTENCES[emotion]):03d}_ED_exp.npy"
                for folder, emotion in zip(folders, emotions, strict=True)
            )
            if os.path.exists(first) and os.path.exists(second):  # noqa: PTH110
                return first, second


def cyclic_mean(clips: Sequence[np.ndarray]) -> np.ndarray:
    """Mean frame by frame, the shorter clips repeated to the length of the longest."""
    longest = max(len(clip) for clip in clips)
    repeated = [np.concatenate([clip] * (-(-longest // len(clip))))[:longest] for clip in clips]
    return np.mean(repeated, axis=0)


def windows_at(first_NK: np.ndarray, second_NK: np.ndarray, start: int) -> Windows:
    """The window that begins at a frame; its reference is zero where it reaches to before the first frame."""
    direction_NK = np.repeat((second_NK - first_NK).mean(0, keepdims=True), len(first_NK), axis=0)
    window = slice(start, start + WINDOW)
    reference_TK = np.zeros_like(direction_NK[window])
    known = direction_NK[max(0, start - WINDOW) : start]
    reference_TK[WINDOW - len(known) :] = known
    return Windows(reference_TK, first_NK[window], second_NK[window], direction_NK[window])


def seed_worker(_: int) -> None:
    """Give every worker of a loader draws of its own."""
    worker = get_worker_info()
    assert worker is not None and isinstance(worker.dataset, OfficialDataset)
    worker.dataset.random.seed(worker.seed)


def mead_labels(speakers: Iterable[str], levels: Sequence[int] = LEVELS) -> Iterator[tuple[str, str, int, int]]:
    """Speaker, emotion, level and sentence of every clip of these speakers."""
    for speaker in speakers:
        for emotion in EMOTIONS:
            is_neutral = emotion == "neutral"
            for level in (1,) if is_neutral else levels:
                for sentence in range(1, 1 + (NUM_NEUTRAL_SENTENCES if is_neutral else NUM_SENTENCES)):
                    yield speaker, emotion, level, sentence


def mead_clip(
    speaker: str,
    emotion: str,
    level: int,
    sentence: int,
    *,
    expression_width: int = 10,
    speech_width: int = 1024,
    num_frames: tuple[int, int] = (20, 120),
) -> ClipSample:
    """A clip of noise, the same one for the same labels; shortest and longest length are given."""
    clip_id = f"mead-{speaker}-{emotion}-{level}-{sentence:03d}"
    generator = np.random.default_rng(zlib.crc32(clip_id.encode()))
    length = int(generator.integers(num_frames[0], num_frames[1] + 1))
    return ClipSample(
        clip_id=clip_id,
        corpus="mead",
        speaker=speaker,
        sentence=f"{sentence:03d}",
        emotion=emotion,
        intensity=level,
        speech=generator.standard_normal(speech_width, np.float32),
        expression=generator.standard_normal((length, expression_width), np.float32),
    )


def mead_clips(
    speakers: Iterable[str],
    *,
    levels: Sequence[int] = LEVELS,
    missing: float = 0.0,
    seed: int = 0,
    expression_width: int = 10,
    speech_width: int = 1024,
) -> list[ClipSample]:
    """Clips of these speakers in MEAD's numbers, a share of which is missing."""
    draw = random.Random(seed)
    return [
        mead_clip(*labels, expression_width=expression_width, speech_width=speech_width)
        for labels in mead_labels(speakers, levels)
        if draw.random() >= missing
    ]


def write_tree(root: Path, clips: Iterable[ClipSample]) -> None:
    """Write the feature files of clips, and their speakers as the training split."""
    speakers = set()
    for clip in clips:
        folder = root / clip.speaker / "front" / clip.emotion / f"level_{clip.intensity}"
        (folder / SPEECH).mkdir(parents=True, exist_ok=True)
        (folder / f"{clip.sentence}.mp4").touch()
        np.save(folder / f"{clip.sentence}_ED_exp.npy", clip.expression)
        np.save(folder / SPEECH / f"{clip.sentence}.npy", clip.speech)
        speakers.add(clip.speaker)
    (root / "train.txt").write_text("".join(f"{speaker}\n" for speaker in sorted(speakers)), encoding="utf-8")


def clip_id_of(path: str) -> str:
    """Id of the clip that an expression or speech file belongs to."""
    speaker, _, emotion, level, name = path.replace(f"{SPEECH}/", "").split("/")[-5:]
    return f"mead-{speaker}-{emotion}-{level.removeprefix('level_')}-{name[:3]}"
