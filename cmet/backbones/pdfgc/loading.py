"""PD-FGC's networks from the four published files."""

from pathlib import Path
from typing import NamedTuple

from cmet.backbones.pdfgc.appearance import AppearanceNetwork
from cmet.backbones.pdfgc.audio import AudioNetwork
from cmet.backbones.pdfgc.generator import PDFGCGenerator
from cmet.backbones.pdfgc.motion import MotionNetwork
from cmet.backbones.published.loading import load_network


class Networks(NamedTuple):
    """The four networks, ready for inference."""

    appearance: AppearanceNetwork
    motion: MotionNetwork
    audio: AudioNetwork
    generator: PDFGCGenerator


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
        load_network(PDFGCGenerator, "pdfgc-generator", folder),
    )
