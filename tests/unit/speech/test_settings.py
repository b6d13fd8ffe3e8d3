"""What a model says of its speech encoder is what the encoder does."""

import importlib
import subprocess
import sys

import pytest

from cmet.speech.encoders.registry import ENCODERS
from cmet.speech.encoders.settings import BUNDLES, SETTINGS


def test_every_encoder_says_how_it_is_set() -> None:
    assert SETTINGS.keys() == ENCODERS.keys()
    assert len({tuple(sorted(settings.items())) for settings in SETTINGS.values()}) == len(SETTINGS)


def test_opensmile_is_set_as_it_says() -> None:
    smile = importlib.import_module("cmet.speech.encoders.egemaps")._smile()
    assert (smile.feature_set.name, smile.feature_level.name) == (
        SETTINGS["opensmile"]["feature_set"],
        SETTINGS["opensmile"]["feature_level"],
    )


@pytest.mark.parametrize("name", BUNDLES)
def test_bundles_are_ones_that_torchaudio_knows(name: str) -> None:
    pipelines = importlib.import_module("torchaudio.pipelines")
    assert hasattr(pipelines, str(SETTINGS[name]["bundle"]))


def test_settings_are_read_without_loading_an_encoder() -> None:
    code = "import sys; import cmet.speech.encoders.settings; sys.exit(bool({'torch', 'opensmile'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
