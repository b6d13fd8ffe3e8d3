from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cmet.media.sound import write_sound
from cmet.speech.encoders.precomputed import WIDTH
from cmet.vocabulary import EMOTIONS
from tests.unit.editing.conftest import editor  # noqa: F401
from tests.unit.editing.models import noise

Write = Callable[..., Path]


def direction(emotion: str) -> np.ndarray:
    """A basic emotion's own axis of the made space; none for neutral."""
    axis = np.zeros(WIDTH)
    if emotion != "neutral":
        axis[EMOTIONS.index(emotion)] = 10
    return axis


@pytest.fixture
def write_vectors() -> Write:
    """Writes vectors of a made emotion2vec space: a middle, and a little that differs from clip to clip."""

    def write(folder: Path, middle: np.ndarray, count: int = 4, spread: float = 0.1, seed: int = 0) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng([seed, *folder.name.encode()])
        for number in range(count):
            vector = middle + spread * random.normal(size=WIDTH)
            np.save(folder / f"clip_{number}.npy", vector.astype(np.float32))
        return folder

    return write


@pytest.fixture
def speech(tmp_path: Path, write_vectors: Write) -> dict[str, Path]:
    """Two extended emotions, calm speech, and basic speech of two speakers, all as vectors."""
    voice = np.full(WIDTH, 0.3)
    for name in EMOTIONS:
        for speaker, offset in (("anna", 0.5), ("ben", -0.5)):
            write_vectors(tmp_path / "basic" / name / speaker, offset + direction(name), seed=1)
    return {
        "charismatic": write_vectors(tmp_path / "extended/charismatic", voice + 2 * direction("happy")),
        "envious": write_vectors(tmp_path / "extended/envious", voice + 0.5 * direction("disgusted")),
        "calm": write_vectors(tmp_path / "calm", voice),
        "basic": tmp_path / "basic",
        "root": tmp_path / "extended",
    }


@pytest.fixture
def sounds(tmp_path: Path) -> dict[str, Path]:
    """Three emotions of two noises each and calm ones: enough for openSMILE, and for nothing else."""
    folders = {}
    for place, name in enumerate(("charismatic", "envious", "calm")):
        folder = tmp_path / "sounds" / name
        folder.mkdir(parents=True)
        for number in range(2):
            write_sound(folder / f"{number}.wav", (1 + place) * noise(0.6, 10 * place + number), 16_000)
        folders[name] = folder
    return folders
