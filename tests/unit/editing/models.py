"""Untrained models: what they change means nothing, that and where they change does."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from cmet.connector.bundle import save_bundle
from cmet.connector.card import BundleConfig
from cmet.connector.network import Connector
from cmet.params import USUAL_SPEECH, ClipForm, NetworkParams, SpeechForm
from cmet.speech.encoders.settings import settings_of
from cmet.speech.scaling import SpeechScaling
from tests.unit.backbones.faces import made_model

NETWORK = NetworkParams(hidden=32, num_layers=1, num_heads=2, feedforward=32, window=5, dropout=0.0)


CLIPS = ClipForm(size_px=256, fps=25, sample_rate_hz=16_000, crop_rule="fomm-reflect-1")


def write_model(
    folder: Path,
    backbone: str,
    expression_width: int,
    encoder: str,
    speech_width: int,
    clips: ClipForm = CLIPS,
    form: SpeechForm = USUAL_SPEECH,
    emotions: Sequence[str] = (),
) -> None:
    """A bundle with drawn weights, and an empty folder of the backbone; it has drawn deltas of emotions on record."""
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(0)
    deltas = {
        key: {name: random.normal(size=width).tolist() for name in emotions}
        for key, width in (("expression_deltas", expression_width), ("speech_deltas", speech_width))
    }
    config = BundleConfig(
        clips=clips, backbone=backbone, speech_encoder=encoder, speech_settings=dict(settings_of(encoder, form)),
        expression_width=expression_width, speech_width=speech_width, network=NETWORK, step=0, seed=0,
        held_out_emotion=None, **deltas,
    )  # fmt: skip
    connector = Connector(NETWORK, expression_width, speech_width)
    limit_S = np.full(speech_width, 3.0)
    save_bundle(folder, connector.state_dict(), config, SpeechScaling.none(speech_width), limit_S)
    (folder / "backbone").mkdir()


def write_facemesh_model(
    folder: Path, seed: int = 0, encoder: str = "opensmile", speech_width: int = 88, form: SpeechForm = USUAL_SPEECH
) -> Path:
    """One for a made basis of facemesh, whose weights are those of the seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        write_model(folder, "facemesh", 6, encoder, speech_width, form=form)
    made_model(num_components=6).save(folder / "backbone")
    return folder


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.2, 0.2, int(16_000 * seconds))
