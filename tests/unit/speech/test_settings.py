"""What a model says of its speech encoder is what the encoder does."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from cmet.errors import UserError
from cmet.params import USUAL_SPEECH, SpeechForm
from cmet.speech.encoders.registry import ENCODERS, load_encoder
from cmet.speech.encoders.settings import BUNDLES, LAYERED, SETTINGS, form_in, settings_of


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


@pytest.mark.parametrize("name", SETTINGS)
def test_a_model_hears_as_its_settings_say(name: str) -> None:
    for form in (USUAL_SPEECH, SpeechForm(layer=1, pooling="mean-std")):
        settings = settings_of(name, form)
        assert settings_of(name, form_in(settings, name)) == settings
        assert (settings == SETTINGS[name]) == (form == USUAL_SPEECH or name not in LAYERED)


def test_a_layer_by_its_number_is_the_usual_one_where_both_are_the_same() -> None:
    for name, layer in (("whisper-base", 2), ("hubert-large", 24)):
        assert settings_of(name, SpeechForm(layer=layer, pooling="mean")) == SETTINGS[name]
    assert (SETTINGS["whisper-base"]["layer"], SETTINGS["hubert-large"]["layer"]) == (2, "last")


def test_a_layer_that_is_not_there_is_refused() -> None:
    with pytest.raises(UserError, match=r"speech\.layer is 5, but whisper-tiny\.en has 4 layers"):
        load_encoder("whisper-tiny.en", Path("weights"), SpeechForm(layer=5, pooling="mean"))


@pytest.mark.parametrize(("key", "value"), [("layer", "first"), ("layer", 0), ("pooling", "max"), ("pooling", None)])
def test_settings_that_nothing_can_have_are_refused(key: str, value: str | int | None) -> None:
    wrong = {name: given for name, given in (SETTINGS["wavlm-base"] | {key: value}).items() if given is not None}
    with pytest.raises(UserError, match="a model that takes layer .* of wavlm-base and pools by .*: this version"):
        form_in(wrong, "wavlm-base")
