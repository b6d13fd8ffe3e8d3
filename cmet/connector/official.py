"""The authors' trained Connector as a model, and one trained here in the authors' container.

Source: ChanHyeok-Choi/C-MET at bd384ac; the published file is `_epoch_2105_checkpoint_step000200000.pth`, a dict of
`state_dict`, `optimizer`, `global_step` and `global_epoch`.
"""

from pathlib import Path

import numpy as np
import torch

from cmet.connector.bundle import Bundle
from cmet.connector.card import BundleConfig
from cmet.connector.network import Connector
from cmet.errors import UserError
from cmet.outputs import fresh_file
from cmet.params import PAPER_NETWORK, PUBLISHED_CONNECTOR
from cmet.speech.encoders.settings import SETTINGS
from cmet.speech.scaling import SpeechScaling
from cmet.weights.containers import whole_numbers
from cmet.weights.identify import load_file_as
from cmet.weights.registry import CHECKPOINTS

EXPRESSION_WIDTH = 10
"""EDTalk's expression code."""

SPEECH_WIDTH = 1024
"""emotion2vec+ large."""

SIZES = {**PAPER_NETWORK.sizes, "expression_width": EXPRESSION_WIDTH, "speech_width": SPEECH_WIDTH}


def load_official(path: Path) -> Bundle:
    """The published Connector as a model: for EDTalk and raw emotion2vec embeddings, which are not clamped.

    Args:
        path: The published file under any name, or one that `export_official` wrote.

    Raises:
        UserError: The file cannot be read without running code, is damaged or is something else.
    """
    tensors = load_file_as(path, PUBLISHED_CONNECTOR)
    connector = Connector(PAPER_NETWORK, EXPRESSION_WIDTH, SPEECH_WIDTH)
    connector.load_state_dict(tensors)
    clips = CHECKPOINTS[PUBLISHED_CONNECTOR].clips
    assert clips is not None
    config = BundleConfig(
        clips=clips,
        backbone="edtalk",
        speech_encoder="emotion2vec",
        speech_settings=dict(SETTINGS["emotion2vec"]),
        expression_width=EXPRESSION_WIDTH,
        speech_width=SPEECH_WIDTH,
        network=PAPER_NETWORK,
        step=whole_numbers(path).get("global_step", 0),
        seed=0,
        held_out_emotion=None,
    )
    limit_S = np.full(SPEECH_WIDTH, np.inf, np.float32)
    return Bundle(connector.eval(), config, SpeechScaling.none(SPEECH_WIDTH), limit_S, path)


def export_official(bundle: Bundle, path: Path) -> None:
    """Write a trained Connector as the authors' code reads it, atomically.

    The container has no place for the range that speech deltas are clamped to, nor for backbone, speech encoder and
    how clips were made, which a reader takes to be the authors'; optimizer state is not kept in a model, so training
    cannot be resumed from it.

    Raises:
        UserError: The sizes are not the paper's, its speech is scaled, or the path is a folder.
    """
    config = bundle.config
    found = {**config.network.sizes, "expression_width": config.expression_width, "speech_width": config.speech_width}
    wrong = [f"{name} is {found[name]}, not {size}" for name, size in SIZES.items() if found[name] != size]
    if wrong:
        raise UserError(f"{bundle.folder}: the authors' container only takes the paper's sizes, but {', '.join(wrong)}")
    if _changes_speech(bundle.scaling):
        raise UserError(
            f"{bundle.folder}: this model scales or projects speech embeddings, for which the authors' container has "
            "no room; train one with deltas.speech_scale: none and deltas.speech_projection: none"
        )
    if path.is_dir():
        raise UserError(f"{path} is a folder; name the file to write")
    content = {
        "state_dict": {name: tensor.cpu() for name, tensor in bundle.connector.state_dict().items()},
        "optimizer": None,
        "global_step": config.step,
        "global_epoch": 0,
    }
    # given a path, torch.save writes its name into the file
    with fresh_file(path) as unfinished, unfinished.open("wb") as stream:
        torch.save(content, stream)


def _changes_speech(scaling: SpeechScaling) -> bool:
    return bool(
        scaling.projection or scaling.centre_S.any() or (scaling.spread_S != 1).any() or np.isfinite(scaling.limit)
    )
