"""Backbones by name."""

from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

from cmet.backbones.backbone import Backbone
from cmet.errors import UserError
from cmet.params import InferenceParams

if TYPE_CHECKING:  # workers that only track need neither
    import pandas as pd

    from cmet.params import ExpressionParams

BACKBONES = {
    "facemesh": "cmet.backbones.facemesh.model:FaceMesh",
    "edtalk": "cmet.backbones.edtalk.model:EDTalk",
    "pdfgc": "cmet.backbones.pdfgc.model:PDFGC",
}
"""Module and class, imported when asked for: facemesh must not wait for the networks of the others."""

FaceTracker = Callable[[Iterable[np.ndarray]], np.ndarray]


class BackboneClass(Protocol):
    """How a backbone comes to be."""

    picture_px: int | None
    keeps_lips: bool
    """Both as in `Backbone`."""

    hears: bool
    """Whether it is `SpeechDriven`."""

    weights: tuple[str, ...]
    """Registered checkpoints it cannot do without."""

    speech_weights: tuple[str, ...]
    """What it needs besides where lips follow speech."""

    def tracker(self, weights: Path, inference: InferenceParams) -> FaceTracker:
        """Its `track`, before anything is fitted.

        Raises:
            UserError: A file of weights is missing or is another one.
        """
        ...

    def fit(
        self,
        clips: "pd.DataFrame",
        video: Callable[[str], Path],
        track: Callable[[str], np.ndarray],
        held_out_emotion: str | None,
        params: "ExpressionParams",
        weights: Path,
        inference: InferenceParams,
    ) -> Backbone:
        """A backbone for a corpus; the published ones are as they are.

        Args:
            clips: Clips with a track, by clip id.
            video: The picture of a clip.
            track: What `tracker` gave of a clip.
            held_out_emotion: Clips of this emotion take no part.
            params: The `expression` section.
            weights: Folder of published checkpoints.
            inference: The `inference` section.

        Raises:
            UserError: Too few clips, or a file of weights is missing or is another one.
        """
        ...

    def load(self, folder: Path, weights: Path, inference: InferenceParams) -> Backbone:
        """A backbone from the folder that `save` has written to, and from weights.

        Raises:
            UserError: A file is missing, damaged, or not the one that the folder was made with.
        """
        ...


def backbone_class(name: str) -> BackboneClass:
    """The class of a backbone.

    Raises:
        UserError: The name is unknown.
    """
    if name not in BACKBONES:
        raise UserError(f"unknown backbone {name!r}; expected one of {', '.join(sorted(BACKBONES))}")
    module, attribute = BACKBONES[name].split(":")
    return cast(BackboneClass, getattr(import_module(module), attribute))


def load_backbone(name: str, folder: Path, weights: Path, inference: InferenceParams) -> Backbone:
    """Load a backbone from the folder that holds its fitted parts, and from the folder of weights.

    Raises:
        UserError: The name is unknown, or a file is missing or damaged.
    """
    return backbone_class(name).load(folder, weights, inference)
