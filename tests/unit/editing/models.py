"""Untrained models: what they change means nothing, that and where they change does."""

from pathlib import Path

import numpy as np

from cmet.connector.bundle import BundleConfig, save_bundle
from cmet.connector.network import Connector
from cmet.params import NetworkParams
from cmet.speech.scaling import SpeechScaling

NETWORK = NetworkParams(hidden=32, num_layers=1, num_heads=2, feedforward=32, window=5, dropout=0.0)


def write_model(folder: Path, backbone: str, expression_width: int, encoder: str, speech_width: int) -> None:
    """A bundle with drawn weights, and an empty folder of the backbone."""
    folder.mkdir(exist_ok=True)
    config = BundleConfig(
        backbone=backbone, speech_encoder=encoder, expression_width=expression_width, speech_width=speech_width,
        network=NETWORK, step=0, seed=0, held_out_emotion=None,
    )  # fmt: skip
    connector = Connector(NETWORK, expression_width, speech_width)
    limit_S = np.full(speech_width, 3.0)
    save_bundle(folder, connector.state_dict(), config, SpeechScaling.none(speech_width), limit_S)
    (folder / "backbone").mkdir()


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.2, 0.2, int(16_000 * seconds))
