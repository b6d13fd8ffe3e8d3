"""Backbones by name."""

from pathlib import Path

from cmet.backbones.facemesh import FaceMesh
from cmet.backbones.protocol import Backbone
from cmet.errors import UserError

BACKBONES = {FaceMesh.name: FaceMesh}


def load_backbone(name: str, folder: Path) -> Backbone:
    """Load a backbone from the folder that holds its fitted parts or weights.

    Raises:
        UserError: The name is unknown, or the folder lacks a file.
    """
    if name not in BACKBONES:
        raise UserError(f"unknown backbone {name!r}; known are {', '.join(sorted(BACKBONES))}")
    return BACKBONES[name].load(folder)
