"""What edits are made of, and how."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cmet.backbones.published.used_weights import weights_digests
from cmet.backbones.registry import backbone_class
from cmet.clips.product import Clips
from cmet.connector.bundle import Bundle
from cmet.expression.product import Faces
from cmet.params import EditsParams, InferenceParams
from cmet.speech.product import Voices


@dataclass(frozen=True, eq=False)
class Material:
    """What the edits of a backbone are made of."""

    pairs: pd.DataFrame
    """Rows of a `Pairs` table; those of the test split, or of the official manifest, are edited."""
    clips: Clips
    faces: Faces
    voices: Voices
    bundle: Bundle
    weights: Path
    """Folder of published checkpoints."""


@dataclass(frozen=True)
class EditRecipe:
    """How edits are made."""

    edits: EditsParams
    inference: InferenceParams
    seed: int
    """Draws the training speaker of each reference."""
    crf: int
    """Quality of the written video."""
    held_out_emotion: str | None
    """Rows of it are marked."""

    def lips(self, backbone: str) -> str:
        """What the lips of a backbone's edits follow: `own`, or `speech`."""
        kind = backbone_class(backbone)
        return "own" if not kind.hears else "speech" if not kind.keeps_lips else self.edits.lips

    def used_weights(self, backbone: str, weights: Path) -> dict[str, str]:
        """SHA-256 of the published files that edits are made with.

        Raises:
            UserError: A file is missing.
        """
        kind = backbone_class(backbone)
        return weights_digests(
            (*kind.weights, *(kind.speech_weights if self.lips(backbone) == "speech" else ())), weights
        )
