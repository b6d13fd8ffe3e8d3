"""What the published backbones share: they are their files, and nothing is learned from a corpus."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from cmet.backbones.published.used_weights import save_used
from cmet.params import InferenceParams

if TYPE_CHECKING:
    import pandas as pd

    from cmet.params import ExpressionParams


class PublishedBackbone(ABC):
    """How one comes to be; see `BackboneClass`."""

    weights: tuple[str, ...]

    def __init__(self, weights: Path) -> None:
        """Remember the folder of weights."""
        self.weights_folder = weights

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, weights: Path, inference: InferenceParams) -> Self:
        """Read the published files."""
        ...

    @abstractmethod
    def track(self, frames: Iterable[np.ndarray]) -> np.ndarray:
        """What it knows of each frame."""
        ...

    @classmethod
    def tracker(cls, weights: Path, inference: InferenceParams) -> Callable[[Iterable[np.ndarray]], np.ndarray]:
        """Its `track`."""
        return cls.load(weights, weights, inference).track

    @classmethod
    def fit(
        cls,
        clips: "pd.DataFrame",
        video: Callable[[str], Path],
        track: Callable[[str], np.ndarray],
        held_out_emotion: str | None,
        params: "ExpressionParams",
        weights: Path,
        inference: InferenceParams,
    ) -> Self:
        """As it was published."""
        return cls.load(weights, weights, inference)

    def save(self, folder: Path) -> None:
        """Write which weights were used."""
        save_used(folder, self.weights, self.weights_folder)
