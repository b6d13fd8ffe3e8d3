"""emotion2vec+ large through FunASR: the speech embedding of the paper.

Model     iic/emotion2vec_plus_large (ModelScope), emotion2vec/emotion2vec_plus_large (Hugging Face)
Files     config.yaml, model.pt
Source    Ma et al., arXiv 2312.15185; FunASR, funasr/models/emotion2vec/model.py, Emotion2vec.inference
"""

import re
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from cmet.errors import UserError
from cmet.inputs.files import BadFile
from cmet.inputs.texts import read_yaml
from cmet.speech.encoders.encoder import SAMPLE_RATE_HZ, check_speech_length, finite
from cmet.speech.encoders.settings import GRANULARITY
from cmet.weights.extras import install_command, is_installed
from cmet.weights.hubs import emotion2vec_folders
from cmet.weights.registry import CHECKPOINTS, MissingWeights, get_command

WIDTH = 1024
MODEL = CHECKPOINTS["emotion2vec"]

PRETRAINING = re.compile(r"\.decoder\.")
"""Weights that the published file lacks and no embedding needs."""

PLAIN_LAYERS = re.compile(r"[\d\s,*+()\[\]]+")


def embed_emotion2vec(samples: np.ndarray, weights: Path) -> np.ndarray:
    """Mean over the frames of one utterance, shape (1024,), float32, not normalised (norm about 14).

    Args:
        samples: Shape (N,), at 16 kHz.
        weights: Folder of published checkpoints.

    Raises:
        ClipError: `too_short_speech` or `bad_features`.
        UserError: FunASR or the model folder is not here, or the folder holds another model.
    """
    check_speech_length(samples)
    result = _load(weights).generate(
        samples, fs=SAMPLE_RATE_HZ, granularity=GRANULARITY, extract_embedding=True, disable_pbar=True
    )
    return finite(np.asarray(result[0]["feats"], np.float32), "emotion2vec")


def check_emotion2vec(weights: Path) -> None:
    """Look for the model folder and FunASR.

    Raises:
        UserError: One of them is not here.
    """
    _read_model_conf(_find(weights) / "config.yaml")
    if not is_installed("emotion2vec"):
        raise UserError(f"emotion2vec: FunASR is not installed: {install_command('emotion2vec')}")


@cache
def _load(weights: Path) -> Any:
    folder = _find(weights)
    model_conf = _read_model_conf(folder / "config.yaml")
    import torch

    from cmet.speech.encoders.checkpoints import fill_model

    # FunASR tells its version and what else could be installed
    with redirect_stdout(StringIO()):
        try:
            from funasr import AutoModel
        except ImportError as error:
            raise UserError(
                f"emotion2vec: FunASR cannot be imported ({error}): {install_command('emotion2vec')}"
            ) from error
        # Given the architecture itself instead of a model's name, it asks no hub, runs no code of the folder and
        # opens no pickle; its own loading would pass over a weight that is missing or has another shape.
        encoder = AutoModel(
            model="Emotion2vec",
            model_conf=model_conf,
            device="cpu",
            ncpu=torch.get_num_threads(),
            disable_update=True,
            log_level="ERROR",
        )
    fill_model(encoder.model, folder / "model.pt", "emotion2vec+ large", PRETRAINING, may_hold_more=True)
    return encoder


def _find(weights: Path) -> Path:
    folder = MODEL.located(weights)
    if folder is not None:
        missing = [name for name in MODEL.parts if not (folder / name).is_file()]
        if missing:
            raise UserError(
                f"emotion2vec: {folder} has no {' and no '.join(missing)}; run `{get_command(MODEL.name, weights)}`"
            )
        return folder
    home = (weights / MODEL.home / MODEL.file).absolute()
    for cached in emotion2vec_folders():
        if cached.is_dir():
            # links of Hugging Face's cache become files
            raise UserError(f"emotion2vec: its model belongs in {home}; copy it: cp -rL {cached} {home}")
    raise MissingWeights(MODEL.name, weights)


def _read_model_conf(path: Path) -> dict[str, Any]:
    """The architecture as config.yaml describes it."""
    try:
        config = read_yaml(path)
        model_conf = config["model_conf"]
        found = (config["model"], model_conf["embed_dim"])
        layers = model_conf["modalities"]["audio"]["feature_encoder_spec"]
    except (BadFile, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a FunASR description of an emotion2vec model ({error!r})") from error
    if found != ("Emotion2vec", WIDTH):
        raise UserError(f"{path}: describes {found[0]} of width {found[1]}, expected Emotion2vec of width {WIDTH}")
    # FunASR evaluates this text as Python
    if not PLAIN_LAYERS.fullmatch(str(layers)):
        raise UserError(f"{path}: feature_encoder_spec is not a plain list of layers: {str(layers)[:80]!r}")
    return model_conf
