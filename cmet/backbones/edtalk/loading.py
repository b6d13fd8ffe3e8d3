"""EDTalk's networks with their published weights."""

from pathlib import Path

from cmet.backbones.edtalk.audio2lip import Audio2Lip
from cmet.backbones.edtalk.generator import EDTalkGenerator
from cmet.backbones.published.loading import load_network


def load_generator(folder: Path | None = None, checkpoint: str = "edtalk") -> EDTalkGenerator:
    """The generator from `EDTalk.pt`, in eval mode.

    Args:
        folder: Where to look; the project's folder of weights when None.
        checkpoint: Its name in the registry; `edtalk-v` is published too.

    Raises:
        UserError: It is missing, cannot be read, is another checkpoint or holds values that are not finite.
    """
    return load_network(EDTalkGenerator, checkpoint, folder)


def load_audio2lip(folder: Path | None = None) -> Audio2Lip:
    """The lip network from `Audio2Lip.pt`, in eval mode.

    Args:
        folder: Where to look; the project's folder of weights when None.

    Raises:
        UserError: It is missing, cannot be read, is another checkpoint or holds values that are not finite.
    """
    return load_network(Audio2Lip, "audio2lip", folder)
