"""Self-supervised speech models that torchaudio knows: WavLM, HuBERT, wav2vec 2.0.

torchaudio gives the architecture, a local file the weights; nothing is downloaded here.
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from cmet.errors import UserError
from cmet.params import Pooling
from cmet.speech.encoders.encoder import check_speech_length, finite
from cmet.speech.encoders.pooling import pooled
from cmet.speech.encoders.settings import BUNDLES
from cmet.weights.hubs import torch_checkpoints
from cmet.weights.registry import CHECKPOINTS, MissingWeights


def embed_with_bundle(samples: np.ndarray, name: str, weights: Path, layer: int, pooling: Pooling) -> np.ndarray:
    """The frames of a layer, pooled over time; shape (D,) or (2 D,), float32.

    Args:
        samples: Shape (N,), at 16 kHz.
        name: A key of `BUNDLES`.
        weights: Folder of published checkpoints.
        layer: Counted from 1; the last one after the encoder's last normalisation.
        pooling: As `pooled` has it.

    Raises:
        ClipError: `too_short_speech` or `bad_features`.
        UserError: The weights are not here, or are not those of this model.
    """
    import torch

    check_speech_length(samples)
    model, is_normalised = _load(name, weights)
    wave = torch.from_numpy(samples)[None]
    with torch.inference_mode():
        if is_normalised:
            wave = torch.nn.functional.layer_norm(wave, wave.shape)
        if layer == BUNDLES[name].num_layers:
            frames_TD = model(wave)[0][0]
        else:
            frames_TD = model.extract_features(wave, num_layers=layer)[0][-1][0]
    return finite(pooled(frames_TD, pooling), name)


def check_bundle(name: str, weights: Path) -> None:
    """Look for the weights.

    Raises:
        UserError: They are not here.
    """
    _find(name, weights)


@cache
def _load(name: str, weights: Path) -> tuple[Any, bool]:
    """The model, and whether it wants a waveform of zero mean and unit variance."""
    import torchaudio
    from torchaudio.models import wav2vec2_model, wavlm_model

    from cmet.speech.encoders.checkpoints import fill_model

    # the bundle's own get_model() downloads what it misses, so its parts are used, which have no public names
    bundle = getattr(torchaudio.pipelines, BUNDLES[name].published)
    build = {"Wav2Vec2": wav2vec2_model, "WavLM": wavlm_model}[bundle._model_type]
    path = _find(name, weights)
    model = build(**bundle._params)
    fill_model(model, path, name)
    return model.eval(), bundle._normalize_waveform


def _find(name: str, weights: Path) -> Path:
    checkpoint = CHECKPOINTS[name]
    path = checkpoint.located(weights)
    if path is not None:
        return path
    # where torchaudio itself keeps what it has downloaded
    cached, place = torch_checkpoints() / checkpoint.file, (weights / checkpoint.home).absolute()
    if cached.is_file():
        raise UserError(f"{name}: its weights belong in {place}/; copy them: cp {cached} {place}/")
    raise MissingWeights(name, weights)
