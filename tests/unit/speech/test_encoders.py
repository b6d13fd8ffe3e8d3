from pathlib import Path

import numpy as np
import pytest

from cmet.errors import ClipError, UserError
from cmet.media import read_audio
from cmet.speech import load_encoder
from cmet.speech.encoders import FEATURES_FOLDER, embed_opensmile, read_precomputed


def test_opensmile_gives_88_finite_features(tone: Path) -> None:
    vector = embed_opensmile(read_audio(tone, 16_000))
    assert (vector.shape, vector.dtype) == ((88,), np.float32)
    assert np.isfinite(vector).all()


def test_speech_of_a_tenth_of_a_second_is_refused() -> None:
    with pytest.raises(ClipError, match=r"too_short_speech: 0\.10 s of speech"):
        embed_opensmile(np.zeros(1600, np.float32))


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (None, "no_features"),
        (np.zeros(7, np.float32), r"bad_features: .*shape \(7,\)"),
        (np.full(1024, np.nan, np.float32), "bad_features: .*1024 value"),
        (np.array({"a": 1}, dtype=object), "bad_features: .*no numpy array"),
    ],
)
def test_bad_precomputed_features_are_refused(tmp_path: Path, array: np.ndarray | None, reason: str) -> None:
    (tmp_path / FEATURES_FOLDER).mkdir()
    if array is not None:
        np.save(tmp_path / FEATURES_FOLDER / "001.npy", array, allow_pickle=True)
    with pytest.raises(ClipError, match=reason):
        read_precomputed(tmp_path / "001.wav")


def test_an_unknown_encoder_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(UserError, match="unknown speech encoder 'whisper'; known are opensmile, precomputed"):
        load_encoder("whisper")


def test_real_emotion2vec_features_are_read_bit_for_bit(real: Path) -> None:
    wav = real / "MEAD/FPS25/W009/front/happy/level_3/022.wav"
    wav = wav if wav.exists() else sorted(wav.parent.glob("*.wav"))[0]
    expected = (wav.parent / FEATURES_FOLDER / f"{wav.stem}.npy").read_bytes()
    vector = read_precomputed(wav)
    assert expected.endswith(vector.tobytes())
