"""Deltas: an emotional clip less a neutral one, in voice and face (the paper's emotion semantic vectors).

Legend: N, M clips, S speech features, T frames, K expression components.
"""

import numpy as np


def speech_delta(neutral_NS: np.ndarray, emotional_MS: np.ndarray) -> np.ndarray:
    """Mean emotional minus mean neutral utterance embedding.

    Returns:
        Shape (S,), float32, not normalised.

    Raises:
        ValueError: One side is empty.
    """
    return _mean(emotional_MS, "emotional_MS") - _mean(neutral_NS, "neutral_NS")


def expression_delta(neutral_TK: np.ndarray, emotional_TK: np.ndarray) -> np.ndarray:
    """Mean over time of the emotional minus that of the neutral expression codes; lengths may differ.

    Returns:
        Shape (K,), float32, not normalised.

    Raises:
        ValueError: One side is empty.
    """
    return _mean(emotional_TK, "emotional_TK") - _mean(neutral_TK, "neutral_TK")


def mean_codes(codes_TK: np.ndarray) -> np.ndarray:
    """Mean of expression codes over time, shape (1, K), float32; to `expression_delta` it is as good as they are.

    Raises:
        ValueError: There are none.
    """
    return _mean(codes_TK, "codes_TK")[None]


def _mean(rows: np.ndarray, name: str) -> np.ndarray:
    if not len(rows):
        raise ValueError(f"{name} is empty")
    return rows.mean(0, dtype=np.float64).astype(np.float32)
