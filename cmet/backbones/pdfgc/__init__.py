"""PD-FGC: a talking head whose mouth, expression, eyes and head pose have separate drivers (expression width 30).

Our own implementation; the published files load unchanged. `loading` reads them, `rendering` runs the networks in
batches, `model` is the backbone, `control` puts the drivers together. Cropping faces out of videos belongs in
`cmet.media`.
"""

from cmet.backbones.pdfgc.control import Drivers, control_values
from cmet.backbones.pdfgc.loading import Networks, load_networks
from cmet.backbones.pdfgc.model import PDFGC
from cmet.backbones.pdfgc.rendering import TalkingFace

__all__ = ["PDFGC", "Drivers", "Networks", "TalkingFace", "control_values", "load_networks"]
