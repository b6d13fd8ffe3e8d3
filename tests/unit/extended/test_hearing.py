from pathlib import Path

import numpy as np
import pytest

from cmet.errors import UserError
from cmet.extended.hearing import choose_space, listen, remembering
from cmet.extended.recordings import Recording, in_folder
from cmet.speech.encoders.registry import load_encoder


def test_the_space_is_the_one_that_all_have(speech: dict[str, Path], sounds: dict[str, Path], tmp_path: Path) -> None:
    assert choose_space(None, None, [speech["root"], speech["calm"]]) == "emotion2vec"
    assert choose_space(None, None, [sounds["envious"], sounds["calm"]]) == "opensmile"
    assert choose_space(None, "opensmile", [speech["root"]]) == "opensmile"
    assert choose_space("emotion2vec", "precomputed", [speech["root"]]) == "precomputed"
    assert choose_space("wavlm-large", None, [sounds["calm"]]) == "wavlm-large"


def test_vectors_here_and_sounds_there_are_of_no_one_space(speech: dict[str, Path], sounds: dict[str, Path]) -> None:
    with pytest.raises(
        UserError, match="no encoder fits all speech: .*sounds/calm has no .npy .*envious has no sounds"
    ):
        choose_space(None, None, [speech["envious"], sounds["calm"]])


def test_a_space_that_is_unknown_or_not_the_models_is_one_message(speech: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown speech encoder 'whisper'; expected one of"):
        choose_space("whisper", None, [])
    with pytest.raises(UserError, match="--space emotion2vec: the model hears with opensmile"):
        choose_space("emotion2vec", "opensmile", [])
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match="none: no recordings, neither sounds nor .npy vectors"):
        choose_space(None, None, [speech["calm"], tmp_path / "none"])


def test_a_bad_recording_is_left_out_with_its_reason(sounds: dict[str, Path]) -> None:
    bad = sounds["envious"] / "0.wav"
    bad.write_text("hello")
    voices, left_out = listen(
        load_encoder("opensmile", Path("weights")), in_folder(sounds["envious"], "envious", False), "extended", True
    )
    assert [path.name for path in voices.paths] == ["1.wav"] and voices.vectors_NS.shape == (1, 88)
    [one] = left_out
    assert (one.role, one.emotion, one.path) == ("extended", "envious", bad)
    assert "0.wav is not a sound file" in one.reason
    (sounds["envious"] / "1.wav").write_text("hello")
    with pytest.raises(
        UserError, match=r"envious speech: none of 2 recording\(s\) can be used; first: .*0.wav is not a sound"
    ):
        listen(
            load_encoder("opensmile", Path("weights")), in_folder(sounds["envious"], "envious", False), "extended", True
        )


def test_a_recording_is_embedded_once(sounds: dict[str, Path]) -> None:
    calls = []

    def embed(samples: np.ndarray) -> np.ndarray:
        calls.append(len(samples))
        return np.zeros(88, np.float32)

    encoder = load_encoder("opensmile", Path("weights"))
    encoder = remembering(type(encoder)("opensmile", 88, embed=embed))
    again = [Recording(sounds["calm"] / f"{number}.wav", "neutral", None) for number in (0, 1, 0, 1)]
    voices, _ = listen(encoder, again, "neutral", True)
    assert len(voices.recordings) == 4 and len(calls) == 2
