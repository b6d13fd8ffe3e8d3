import numpy as np
import pytest

from cmet.connector.card import BundleConfig
from cmet.params import PAPER_CLIPS, NetworkParams
from cmet.speech.encoders.settings import SETTINGS

CONFIG = BundleConfig(
    clips=PAPER_CLIPS,
    backbone="facemesh",
    speech_encoder="opensmile",
    speech_settings=dict(SETTINGS["opensmile"]),
    expression_width=3,
    speech_width=88,
    network=NetworkParams(hidden=32, num_layers=1, num_heads=1, feedforward=8, window=5, dropout=0.0),
    step=0,
    seed=0,
    held_out_emotion=None,
)


def test_likeness_is_the_cosine_with_each_trained_emotion() -> None:
    config = CONFIG.model_copy(update={"expression_deltas": {"happy": [1.0, 0, 0], "sad": [-1.0, 1.0, 0]}})
    found = config.likeness(np.array([[-3.0, 3.0, 0], [-1.0, 1.0, 0]]))
    assert list(found) == ["sad", "happy"]
    assert found == pytest.approx({"sad": 1, "happy": -(0.5**0.5)})


def test_nothing_is_like_what_is_not_known() -> None:
    assert CONFIG.likeness(np.ones((2, 3))) == {}
    known = CONFIG.model_copy(update={"expression_deltas": {"sad": [1.0, 0, 0]}})
    assert known.likeness(np.zeros((2, 3))) == {"sad": 0}
