from pathlib import Path

import pytest
import torch

from cmet.editing.editor import Editor
from cmet.media.audio import write_audio
from tests.unit.backbones.faces import made_model
from tests.unit.editing.models import noise, write_model


@pytest.fixture(scope="session")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Editor:
    """Facemesh on a made basis."""
    folder = tmp_path_factory.mktemp("model")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        write_model(folder, "facemesh", 6, "opensmile", 88)
    made_model(num_components=6).save(folder / "backbone")
    return Editor.load(folder)


@pytest.fixture
def sounds(tmp_path: Path) -> dict[str, list[Path]]:
    for name, seed in (("happy", 1), ("calm", 2)):
        write_audio(tmp_path / f"{name}.wav", noise(1.0, seed), 16_000)
    return {"speech": [tmp_path / "happy.wav"], "neutral_speech": [tmp_path / "calm.wav"]}
