"""EDTalk's networks with their published weights."""

from pathlib import Path

from cmet.backbones.edtalk.audio2lip import Audio2Lip
from cmet.backbones.edtalk.generator import Generator
from cmet.weights import load_weights


def load_generator(folder: Path | None = None, checkpoint: str = "edtalk") -> Generator:
    """The generator from `EDTalk.pt`, in eval mode.

    Args:
        folder: Where to look; the project's folder of weights when None.
        checkpoint: Its name in the registry; `edtalk-v` is published too.

    Raises:
        UserError: It is missing, cannot be read, is another checkpoint or holds values that are not finite.
    """
    weights = load_weights(checkpoint, folder)
    generator = Generator()
    generator.load_state_dict(weights)
    return generator.eval().requires_grad_(False)


def load_audio2lip(folder: Path | None = None) -> Audio2Lip:
    """The lip network from `Audio2Lip.pt`, in eval mode.

    Args:
        folder: Where to look; the project's folder of weights when None.

    Raises:
        UserError: It is missing, cannot be read, is another checkpoint or holds values that are not finite.
    """
    weights = load_weights("audio2lip", folder)
    network = Audio2Lip()
    network.load_state_dict(weights)
    return network.eval().requires_grad_(False)
