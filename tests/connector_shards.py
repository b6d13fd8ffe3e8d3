"""A small world for the Connector: voice and face both follow linearly from a hidden affect."""

from pathlib import Path
from typing import Any

import numpy as np

from cmet.outputs import fresh_folder, write_json
from cmet.params import ClipForm, NetworkParams
from cmet.shards import FORMAT, LISTING, SPLITS, PairSample, write_tar
from cmet.speech.scaling import SpeechScaling
from cmet.vocabulary import EMOTIONS

TINY: dict[str, Any] = {
    "network": NetworkParams(hidden=32, num_layers=1, num_heads=2, feedforward=32, window=5, dropout=0.1),
    "begin_from": None,
    "patience": None,
    "sampler": "corrected",
    "speaker": "same",
    "excluded_emotions": [],
    "wmse_backward_label": "second",
    "contrastive_signs": "crossed",
    "precision": "float32",
    "compile": False,
    "shards_in_memory": None,
    "num_steps": 6,
    "batch_size": 16,
    "learning_rate": 1e-3,
    "weight_decay": 1e-5,
    "ema_decay": None,
    "first_window_share": 0.0,
    "mixup_share": 0.0,
    "speech_draw": "strided",
    "num_clips_per_mean": 10,
    "reconstruction": "focal",
    "direction": "bidir",
    "contrastive_weight": 0.1,
    "direction_weight": 0.05,
    "log_every": 1,
    "validate_every": 3,
    "max_validation_pairs": 1000,
    "checkpoint_every": 2,
}
CLIPS = ClipForm(size_px=256, fps=25, sample_rate_hz=16_000, crop_rule="fomm-reflect-1")
SPEECH_WIDTH, EXPRESSION_WIDTH = 12, 10
LEVELS = (2, 3)
NUM_SENTENCES = 3


def write_shards(root: Path, num_sentences: int = NUM_SENTENCES) -> Path:
    """Write those shards into a folder below another."""
    speakers = {"train": ["a", "b", "c"], "val": ["d"], "test": []}
    folder = root / "shards"
    with fresh_folder(folder) as unfinished:
        splits = {}
        for split in (split for split in SPLITS if speakers[split]):
            pairs = [pair for speaker in speakers[split] for pair in pairs_of(speaker, num_sentences)]
            splits[split] = [write_tar(unfinished, f"{split}/000000.tar", pairs)]
        SpeechScaling.none(SPEECH_WIDTH).save(unfinished)
        write_json(unfinished / LISTING, {"format": FORMAT, "splits": {"test": [], "unpaired": []} | splits})
    return folder


def pairs_of(speaker: str, num_sentences: int = NUM_SENTENCES) -> list[PairSample]:
    """All pairs of one speaker."""
    world = np.random.default_rng(0)
    affect = world.normal(size=(len(EMOTIONS), 3))
    to_voice, to_face = world.normal(size=(3, SPEECH_WIDTH)), world.normal(size=(3, EXPRESSION_WIDTH))
    own = np.random.default_rng(ord(speaker))

    def clip(emotion: str, level: int) -> tuple[np.ndarray, np.ndarray]:
        strength = 0.0 if emotion == "neutral" else level / 3
        point = strength * affect[EMOTIONS.index(emotion)]
        noise = own.normal(size=(own.integers(8, 20), EXPRESSION_WIDTH))
        return (point @ to_voice).astype(np.float32), (point @ to_face + 0.1 * noise).astype(np.float32)

    neutral = [clip("neutral", 1) for _ in range(num_sentences)]
    pairs = []
    for emotion in EMOTIONS:
        for level in LEVELS if emotion != "neutral" else ():
            for sentence, (neutral_speech, neutral_face) in enumerate(neutral):
                speech, face = clip(emotion, level)
                name = f"{speaker}-{emotion}-{level}-{sentence:03d}"
                pairs.append(
                    PairSample(
                        key=name,
                        corpus="sample",
                        speaker=speaker,
                        sentence=f"{sentence:03d}",
                        emotion=emotion,
                        intensity=level,
                        neutral_clip=f"{speaker}-neutral-1-{sentence:03d}",
                        emotional_clip=name,
                        neutral_speech=neutral_speech,
                        emotional_speech=speech,
                        neutral_expression=neutral_face,
                        emotional_expression=face,
                        speech_delta=speech - neutral_speech,
                        expression_delta=face.mean(0) - neutral_face.mean(0),
                    )
                )
    return pairs
