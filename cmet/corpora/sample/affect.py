"""Affect and what a face makes of it: emotions are points, and one fixed map leads from any point to a face.

No emotion has a rule of its own, so one that was never trained on can still be reached through its neighbours.
The voice follows from the same point in `voice.py`.
"""

from dataclasses import dataclass

import numpy as np

DIMENSIONS = ("valence", "arousal", "dominance")

POINTS = {
    "neutral": (0.0, 0.0, 0.0),
    "happy": (0.8, 0.5, 0.4),
    "angry": (-0.6, 0.8, 0.7),
    "contempt": (-0.35, -0.5, 0.8),
    "disgusted": (-0.8, 0.1, 0.3),
    "fear": (-0.6, 0.7, -0.8),
    "sad": (-0.6, -0.7, -0.6),
    "surprised": (0.1, 0.9, -0.3),
}
"""Valence, arousal and dominance of each emotion at full intensity, each in -1 ... 1."""

INTENSITY = {1: 0.5, 2: 0.75, 3: 1.0}
"""Factor on the point of an emotion, by level."""

FACE_MAP = {
    "inner_brow_raise": (0.70, -0.05, -1.55),
    "outer_brow_raise": (0.85, 0.30, -1.15),
    "brow_lower": (-0.70, 0.42, 0.48),
    "lid_raise": (0.05, 0.85, -0.40),
    "cheek_raise": (0.80, 0.19, 0.55),
    "lid_tighten": (-0.50, 0.36, 0.55),
    "nose_wrinkle": (-1.15, -0.10, 0.25),
    "corner_raise": (0.90, 0.05, 0.25),
    "smirk": (0.02, -0.70, 0.81),
    "lip_stretch": (-0.50, 0.32, -0.46),
    "lip_press": (-0.25, 0.25, 0.60),
    "jaw_drop": (0.33, 0.72, -0.35),
}
"""Weights of valence, arousal and dominance for each facial action; 1 is the action of a very expressive face.

`lid_raise` and `corner_raise` go both ways (drooping lids, falling corners), the others only set in."""

SIGNED = ("lid_raise", "corner_raise")
ACTIONS = tuple(FACE_MAP)

_WEIGHTS_AD = np.array(list(FACE_MAP.values()))
_SIGNED_A = np.array([action in SIGNED for action in ACTIONS])
_ONSET = 0.15
"""Width of the bend where a one-way action sets in."""


@dataclass(frozen=True)
class Style:
    """How one speaker shows affect: factors and resting offsets of the facial actions, factors of the voice."""

    gains_A: np.ndarray
    biases_A: np.ndarray
    voice_gains_D: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator, spread: float) -> "Style":
        """A random speaker; `spread` 0 gives the same style to all."""
        return cls(
            gains_A=np.exp(0.14 * spread * rng.standard_normal(len(ACTIONS))),
            biases_A=0.05 * spread * rng.standard_normal(len(ACTIONS)),
            voice_gains_D=np.exp(0.10 * spread * rng.standard_normal(len(DIMENSIONS))),
        )


def affect_point(emotion: str, level: int) -> np.ndarray:
    """Affect of an emotion at a level, shape (3,)."""
    return np.array(POINTS[emotion]) * INTENSITY[level]


def facial_actions(affect: np.ndarray) -> np.ndarray:
    """Activations of the facial actions, zero at neutral affect.

    Args:
        affect: Shape (..., 3).

    Returns:
        Shape (..., 12), in the order of `ACTIONS`.
    """
    linear = affect @ _WEIGHTS_AD.T
    one_way = (linear + np.sqrt(linear**2 + _ONSET**2) - _ONSET) / 2
    return np.where(_SIGNED_A, linear, one_way)
