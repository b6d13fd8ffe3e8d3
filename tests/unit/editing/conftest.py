from pathlib import Path

import numpy as np
import pytest

from cmet.editing.editor import Editor
from cmet.media.sound import write_sound
from cmet.media.video import read_video, write_video
from tests.unit.editing.models import noise, write_facemesh_model


@pytest.fixture(scope="session")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Editor:
    """Facemesh on a made basis."""
    return Editor.load(write_facemesh_model(tmp_path_factory.mktemp("model")))


@pytest.fixture
def sounds(tmp_path: Path) -> dict[str, list[Path]]:
    for name, seed in (("happy", 1), ("calm", 2)):
        write_sound(tmp_path / f"{name}.wav", noise(1.0, seed), 16_000)
    return {"speech": [tmp_path / "happy.wav"], "neutral_speech": [tmp_path / "calm.wav"]}


@pytest.fixture
def darkening(real: Path, tmp_path: Path) -> Path:
    """Seven frames at 30 a second of a face in a wide picture that gets darker, and a quarter of a second of sound."""
    frames = read_video(real / "MEAD/FPS25/W009/front/neutral/level_1/038.mp4", range(7)).frames
    frames = np.concatenate([frames, np.full((7, 256, 200, 3), 200, np.uint8)], axis=2)
    shades = np.linspace(1, 0.4, 7)[:, None, None, None]
    write_sound(tmp_path / "own.wav", noise(0.25), 16_000)
    write_video(tmp_path / "dark.mp4", (frames * shades).astype(np.uint8), 30, tmp_path / "own.wav", crf=4)
    return tmp_path / "dark.mp4"
