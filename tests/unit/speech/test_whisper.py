"""Whisper's encoder against OpenAI's.

The numbers come from openai-whisper 20250625 (`audio.log_mel_spectrogram`, `model.AudioEncoder`), on the sound and with
the weights that the formulas below give.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from cmet.errors import UserError
from cmet.params import SpeechForm
from cmet.speech.encoders import whisper
from cmet.speech.encoders.registry import load_encoder
from cmet.speech.encoders.settings import WHISPERS, Layered
from cmet.speech.encoders.whisper import WhisperEncoder, embed_with_whisper, log_mel

TIMES = np.arange(40_000) / 16_000
SOUND = (
    0.3 * np.sin(2 * np.pi * (180 + 40 * TIMES) * TIMES) * (1 + 0.5 * np.sin(2 * np.pi * 3 * TIMES))
    + 0.1 * np.sin(2 * np.pi * 1900 * TIMES)
).astype(np.float32)

READ = [0, 1, 50, 100, 150, 200, 300, 383]
SECOND = {
    "whisper-tiny": [-7.51458, 1.37508, -1.76174, -4.15621, -1.09681, -1.07733, 0.91466, -0.2299],
    "whisper-base.en": [-6.98381, -0.29075, -0.96619, -3.80412, -1.2598, 1.15479, -1.60506, -1.62684],
}
"""Of the second layer the mean over the frames of the sound, in places `READ`."""
LAST = [-3.44509, 0.12103, -1.10329, -1.44894, -0.9265, 0.0669, -0.0305, -0.52717]
LAST_SPREAD = [0.15111, 0.19608]
"""Of the last layer of whisper-tiny; the standard deviation in places 0 and 383."""

SMALL = Layered("small", 64, 2, 2)


def formula(key: str, number: int, shape: tuple[int, ...]) -> torch.Tensor:
    places = np.arange(int(np.prod(shape)), dtype=np.int64)
    values = ((places * places * 31 + places * 17 + number * 101) % 1009 / 1009 - 0.5).reshape(shape)
    if len(shape) > 1 and "positional" not in key:
        values = values * 3.4 / np.sqrt(np.prod(shape[1:]))
    if key.endswith(("ln.weight", "ln_post.weight")):
        values = 1 + values
    return torch.from_numpy(values).half()


def write_weights(weights: Path, name: str) -> None:
    """A file as OpenAI publishes it, a piece of a decoder included."""
    network = WHISPERS[name]
    state = WhisperEncoder(network.width, network.num_layers).state_dict()
    filled = {
        f"encoder.{key}": formula(key, number, tuple(value.shape))
        for number, (key, value) in enumerate(sorted(state.items()))
    }
    (weights / "speech").mkdir(parents=True, exist_ok=True)
    decoder = {"decoder.ln.weight": torch.ones(network.width).half()}
    dims = {"n_mels": 80, "n_audio_ctx": 1500, "n_audio_state": network.width, "n_audio_layer": network.num_layers}
    torch.save({"dims": dims, "model_state_dict": filled | decoder}, weights / "speech" / f"{name}.pt")


@pytest.fixture(autouse=True)
def no_model_is_kept() -> Iterator[None]:
    whisper._load.cache_clear()
    yield
    whisper._load.cache_clear()


def test_the_spectrogram_is_that_of_openai() -> None:
    mels = log_mel(torch.from_numpy(SOUND))
    assert mels.shape == (80, 3000)
    found = mels[[0, 3, 10, 20, 40, 79, 5, 2], [0, 50, 100, 200, 249, 120, 260, 2999]]
    expected = [1.08784, 0.92472, 0.27533, -0.45373, 0.09678, -0.60201, -0.60201, -0.60201]
    np.testing.assert_allclose(found, expected, atol=2e-4)
    assert float(mels.mean()) == pytest.approx(-0.577864, abs=1e-5)


@pytest.mark.parametrize("name", SECOND)
def test_the_usual_embedding_is_the_mean_of_openais_second_layer(name: str, tmp_path: Path) -> None:
    write_weights(tmp_path, name)
    encoder = load_encoder(name, tmp_path)
    assert encoder.embed is not None
    vector = encoder.embed(SOUND)
    assert (vector.shape, vector.dtype) == ((encoder.width,), np.float32)
    np.testing.assert_allclose(vector[READ], SECOND[name], atol=1e-3)


def test_the_last_layer_is_normalised_as_openais(tmp_path: Path) -> None:
    write_weights(tmp_path, "whisper-tiny")
    encoder = load_encoder("whisper-tiny", tmp_path, SpeechForm(layer=4, pooling="mean-std"))
    assert (encoder.embed is not None, encoder.width) == (True, 768)
    vector = encoder.embed(SOUND)
    np.testing.assert_allclose(vector[:384][READ], LAST, atol=1e-3)
    np.testing.assert_allclose(vector[384:][[0, 383]], LAST_SPREAD, atol=1e-3)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights of a small encoder under the name whisper-tiny."""
    monkeypatch.setitem(WHISPERS, "whisper-tiny", SMALL)
    write_weights(tmp_path, "whisper-tiny")
    return tmp_path


def test_a_long_sound_is_heard_in_equal_parts(small: Path) -> None:
    long = np.tile(SOUND, 14)[: 32 * 16_000]
    halves = [embed_with_whisper(half, "whisper-tiny", small, 2, "mean") for half in np.split(long, 2)]
    together = embed_with_whisper(long, "whisper-tiny", small, 2, "mean")
    np.testing.assert_allclose(together, np.mean(halves, axis=0), atol=1e-5)
    assert np.abs(halves[0] - halves[1]).max() > 1e-3


def test_the_silence_at_the_end_is_not_counted(small: Path) -> None:
    model = whisper._load("whisper-tiny", small)
    with torch.inference_mode():
        (frames,) = whisper._heard(model, SOUND[:-1], 1)
    assert frames.shape == (125, 64)


def test_absent_weights_are_named(tmp_path: Path) -> None:
    check = load_encoder("whisper-base.en", tmp_path).check
    assert check is not None
    with pytest.raises(UserError, match=r"whisper-base\.en\.pt \(.*\) is missing"):
        check()


def test_weights_of_another_size_are_refused(tmp_path: Path) -> None:
    write_weights(tmp_path, "whisper-tiny")
    path = tmp_path / "speech/whisper-tiny.pt"
    path.rename(path.with_name("whisper-base.pt"))
    encoder = load_encoder("whisper-base", tmp_path)
    assert encoder.embed is not None
    with pytest.raises(UserError, match=r"whisper-base\.pt: not the weights of whisper-base: 30 of 97 keys missing"):
        encoder.embed(SOUND)
