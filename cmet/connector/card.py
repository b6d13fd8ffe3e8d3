"""What a trained model was made for; readable without loading the network."""

from typing import Literal

import numpy as np
from pydantic import PositiveInt

from cmet.params import NetworkParams, Section

WEIGHTS = "connector.safetensors"
CONFIG = "config.json"
FORMAT: Literal[2] = 2


class BundleConfig(Section):
    """What a trained model was made for."""

    format: Literal[2] = FORMAT
    backbone: str
    speech_encoder: str
    expression_width: PositiveInt
    speech_width: PositiveInt
    network: NetworkParams
    step: int
    """Training step the weights are of."""
    seed: int
    held_out_emotion: str | None
    expression_deltas: dict[str, list[float]] = {}
    """Mean expression delta of the training pairs, by emotion; empty where they are not known."""

    def likeness(self, change_NK: np.ndarray) -> dict[str, float]:
        """Cosine of a clip's mean change with the mean delta of each trained emotion, the highest first."""
        mean_K = change_NK.mean(axis=0, dtype=np.float64)
        cosines = {
            emotion: float(mean_K @ delta_K / max(np.linalg.norm(mean_K) * np.linalg.norm(delta_K), 1e-12))
            for emotion, delta_K in self.expression_deltas.items()
        }
        return dict(sorted(cosines.items(), key=lambda item: -item[1]))
