"""What the stage `train` leaves behind, for one backbone; `load_bundle` makes it predict."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cmet.connector.card import CONFIG, WEIGHTS, BundleConfig, read_config
from cmet.places import Places

if TYPE_CHECKING:  # an edit needs no tables, and they take a second
    import pandas as pd

HISTORY = "history.parquet"
BACKBONE = "backbone"
LAST = "last.safetensors"
"""Weights after the last step and the optimizer's moments; the model's own weights are the best."""


@dataclass(frozen=True)
class Model:
    """A trained Connector on disk."""

    folder: Path

    @classmethod
    def open(cls, places: Places, backbone: str) -> "Model":
        """The model of a project.

        Raises:
            UserError: There is none yet.
        """
        return cls(places.written("train", CONFIG, backbone).parent)

    @cached_property
    def config(self) -> BundleConfig:
        """What it was made for and from.

        Raises:
            UserError: As `read_config`.
        """
        return read_config(self.folder)

    @property
    def history(self) -> "pd.DataFrame":
        """Metrics of training (step, metric, value)."""
        import pandas as pd

        return pd.read_parquet(self.folder / HISTORY)

    @property
    def backbone(self) -> Path:
        """What the backbone was fitted to, or which weights it used."""
        return self.folder / BACKBONE

    @property
    def weights(self) -> Path:
        """The file of weights."""
        return self.folder / WEIGHTS

    @property
    def card(self) -> Path:
        """The file that says what it was made for and from."""
        return self.folder / CONFIG

    @property
    def files(self) -> list[Path]:
        """What an edit needs, without the state of the optimizer."""
        return [path for path in sorted(self.folder.iterdir()) if path.name != LAST]

    @property
    def sha256(self) -> str:
        """Digest of the weights."""
        return hashlib.sha256(self.weights.read_bytes()).hexdigest()
