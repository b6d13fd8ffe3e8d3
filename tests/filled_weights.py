"""Published files with made-up content: filled weights under the published names, in the published containers."""

from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Literal

import pytest
import torch
from filelock import FileLock
from fill import AUDIO2LIP, CONNECTOR, EDTALK, PDFGC, UNREAD, Profile, fill
from torch import nn

from cmet.backbones.edtalk import decoder, encoder
from cmet.backbones.edtalk.audio2lip import Audio2Lip
from cmet.backbones.edtalk.generator import EDTalkGenerator
from cmet.backbones.pdfgc.appearance import AppearanceNetwork
from cmet.backbones.pdfgc.audio import AudioNetwork
from cmet.backbones.pdfgc.generator import PDFGCGenerator
from cmet.backbones.pdfgc.motion import MotionNetwork
from cmet.connector.network import Connector
from cmet.params import NetworkParams
from cmet.weights.registry import CHECKPOINTS

PAPER = NetworkParams(hidden=1024, num_layers=4, num_heads=4, feedforward=1024, window=5, dropout=0.1)


def write_filled_weights(folder: Path, name: Literal["edtalk", "pdfgc", "connector"]) -> list[Path]:
    """The files of a backbone, or the authors' connector, in a folder of weights; processes may share it."""
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{folder.name}-{name}.lock")):
        return _written(folder, name)


def _written(folder: Path, name: Literal["edtalk", "pdfgc", "connector"]) -> list[Path]:
    """Those that are there are kept."""
    files = []
    networks: dict[str, tuple[Callable[[], nn.Module], Profile]] = {
        "edtalk": {"edtalk": (EDTalkGenerator, EDTALK), "audio2lip": (Audio2Lip, AUDIO2LIP)},
        "pdfgc": {
            "pdfgc-appearance": (AppearanceNetwork, PDFGC["appearance"]),
            "pdfgc-motion": (MotionNetwork, PDFGC["motion"]),
            "pdfgc-audio": (AudioNetwork, PDFGC["audio"]),
            "pdfgc-generator": (PDFGCGenerator, PDFGC["generator"]),
        },
        "connector": {"cmet-connector": (_paper_connector, CONNECTOR)},
    }[name]
    for checkpoint, (kind, profile) in networks.items():
        published = CHECKPOINTS[checkpoint]
        assert published.network is not None
        files.append(folder / published.home / published.file)
        files[-1].parent.mkdir(exist_ok=True)
        if files[-1].exists():
            continue
        network = kind()
        fill(network, profile)
        # what nothing reads takes no room: the file is read and digested again and again
        state = {
            key: torch.ones(()).expand(tensor.shape) if key.startswith(UNREAD) else tensor
            for key, tensor in network.state_dict().items()
        }
        place = published.network.place
        torch.save({place: state} if place else state, files[-1])
    return files


def narrow_edtalk() -> EDTalkGenerator:
    """EDTalk's networks with an eighth of the channels, filled, in eval mode: a picture takes a tenth of a second.

    What is true of any width is tried with it; the published one is compared with its numbers in `golden/`.
    """
    return deepcopy(_narrow_edtalk())


@cache
def _narrow_edtalk() -> EDTalkGenerator:
    with pytest.MonkeyPatch.context() as patch:
        for module in (encoder, decoder):
            patch.setattr(module, "WIDTHS", tuple(width // 8 for width in module.WIDTHS))
        generator = EDTalkGenerator()
    fill(generator, EDTALK)
    return generator.eval().requires_grad_(False)


def _paper_connector() -> Connector:
    return Connector(PAPER, 10, 1024)
