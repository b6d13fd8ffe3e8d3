"""PD-FGC's networks from the four published files."""

from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from torch import nn

from cmet.backbones.pdfgc.appearance import AppearanceNetwork
from cmet.backbones.pdfgc.audio import AudioNetwork
from cmet.backbones.pdfgc.generator import Generator
from cmet.backbones.pdfgc.motion import MotionNetwork
from cmet.weights import load_weights

AnyNetwork = TypeVar("AnyNetwork", bound=nn.Module)


class Networks(NamedTuple):
    """The four networks, ready for inference."""

    appearance: AppearanceNetwork
    motion: MotionNetwork
    audio: AudioNetwork
    generator: Generator


def load_networks(folder: Path | None = None) -> Networks:
    """Read the four files.

    Args:
        folder: Where they lie; the folder of all weights when None.

    Raises:
        UserError: A file is missing, cannot be read or is another checkpoint.
    """
    return Networks(
        load_network(AppearanceNetwork, "pdfgc-appearance", folder),
        load_network(MotionNetwork, "pdfgc-motion", folder),
        load_network(AudioNetwork, "pdfgc-audio", folder),
        load_network(Generator, "pdfgc-generator", folder),
    )


def load_network(kind: type[AnyNetwork], name: str, folder: Path | None = None) -> AnyNetwork:
    """One network in eval mode, with the weights of a registered checkpoint.

    Raises:
        UserError: The file is missing, cannot be read or is another checkpoint.
    """
    weights = load_weights(name, folder)
    # without memory of its own: the tensors of the file take the place of the initial ones
    with torch.device("meta"):
        network = kind()
    # what a right file may lack takes part in no result
    state = {key: weights.get(key, torch.zeros(own.shape)).to(own.dtype) for key, own in network.state_dict().items()}
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)
