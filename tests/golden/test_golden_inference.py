"""Prediction over a whole clip against the published routine."""

from pathlib import Path

import numpy as np
import pytest
from fill import fill, normal

from cmet.connector.inference import predict_directions
from cmet.connector.network import Connector
from cmet.params import NetworkParams

GOLDEN = np.load(Path(__file__).parent / "inference.npz")
PAPER = NetworkParams(hidden=1024, num_layers=4, num_heads=4, feedforward=1024, window=5, dropout=0.1)


@pytest.fixture(scope="module")
def connector() -> Connector:
    network = Connector(PAPER, 10, 1024).eval()
    fill(network)
    return network


@pytest.mark.parametrize(("name", "num_frames"), [("short", 23), ("long", 48)])
def test_directions_and_expression_are_the_published_ones(connector: Connector, name: str, num_frames: int) -> None:
    codes = normal(f"infer/source{num_frames}", (num_frames, 10), 0.8).numpy()
    emotional, neutral = (normal(f"infer/speech_{kind}", (10, 1024), 0.4).mean(0) for kind in ("emo", "neu"))
    speech = (emotional - neutral).numpy()
    assert float(speech.sum()) == pytest.approx(float(GOLDEN["speech_direction_sum"]), rel=1e-4)

    directions = predict_directions(connector, speech, codes, drop_tail=True)
    np.testing.assert_allclose(directions, GOLDEN[f"{name}/directions"], atol=2e-5)
    np.testing.assert_allclose(codes[: len(directions)] + directions, GOLDEN[f"{name}/expression"], atol=2e-5)
    whole = predict_directions(connector, speech, codes)
    assert whole.shape == codes.shape
    np.testing.assert_allclose(whole[: len(directions)], directions, atol=1e-6)
