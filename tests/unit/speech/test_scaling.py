from pathlib import Path

import numpy as np
import pytest

from cmet.errors import UserError
from cmet.speech.scaling import LIMIT, SpeechScaling


@pytest.fixture
def values() -> np.ndarray:
    random = np.random.default_rng(0)
    values = random.normal(size=(400, 4)) * [1.0, 100.0, 0.01, 1.0] + [0.0, 1000.0, 0.0, 0.0]
    values[:, 3] = 7.0
    return values


def test_features_of_any_unit_get_about_one_spread(values: np.ndarray) -> None:
    scaled = SpeechScaling.fit(values).apply(values)
    np.testing.assert_allclose(scaled[:, :3].std(axis=0), 1, atol=0.15)
    np.testing.assert_allclose(np.median(scaled, axis=0), 0, atol=1e-6)


def test_an_exploding_value_moves_neither_the_spread_nor_beyond_the_limit(values: np.ndarray) -> None:
    plain = SpeechScaling.fit(values)
    values[0, 0] = 1e6
    assert SpeechScaling.fit(values).spread_S[0] == pytest.approx(plain.spread_S[0], rel=0.02)
    assert plain.apply(values)[0, 0] == LIMIT


def test_a_constant_feature_does_not_divide_by_zero(values: np.ndarray) -> None:
    assert np.isfinite(SpeechScaling.fit(values).apply(values + 0.001)).all()


def test_a_scaling_is_the_same_after_saving(tmp_path: Path, values: np.ndarray) -> None:
    SpeechScaling.fit(values).save(tmp_path)
    np.testing.assert_array_equal(SpeechScaling.load(tmp_path).apply(values), SpeechScaling.fit(values).apply(values))
    with pytest.raises(UserError, match="no speech scaling here"):
        SpeechScaling.load(tmp_path / "elsewhere")
