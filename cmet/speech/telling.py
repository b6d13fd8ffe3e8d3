"""Telling emotions from speech deltas, as the clips of other speakers let them be told.

Legend: N, M clips, S speech features, E emotions.
"""

from collections.abc import Sequence

import numpy as np

from cmet.errors import UserError
from cmet.params import TellingRule
from cmet.progress import counted
from cmet.vocabulary import NEUTRAL, TARGET_EMOTIONS

RULES: tuple[TellingRule, ...] = ("none", "whitening", "lda")
"""The simpler one before the other: of two that tell equally well it is taken."""


def told_emotions(
    rule: TellingRule,
    embeddings_NS: np.ndarray,
    speakers_N: np.ndarray,
    emotions_N: np.ndarray,
    *,
    label: str | None = None,
) -> np.ndarray:
    """Emotion that the other speakers' clips let each emotional clip be taken for; None for neutral clips.

    The delta of a clip is its embedding minus its own speaker's mean neutral one.

    none       the emotion whose direction is nearest by cosine: the mean over the other speakers of their mean delta
    whitening  the same, after the deltas were brought to equal spread in all directions within an emotion
    lda        linear discriminant analysis with equal shares of the emotions, neutral clips counting for the spread

    Args:
        rule: How.
        embeddings_NS: Shape (N, S).
        speakers_N: Every speaker has neutral clips.
        emotions_N: Neutral, or one of `TARGET_EMOTIONS`.
        label: What is shown while it runs; None shows nothing.

    Raises:
        UserError: Only one speaker has an emotion.
    """
    deltas_NS = less_neutral(embeddings_NS, speakers_N, emotions_N)
    told = np.full(len(emotions_N), None, dtype=object)
    names = sorted(set(speakers_N))
    targets = targets_in(emotions_N)
    for name in counted(names, label or rule, len(names), "speaker", is_quiet=label is None):
        is_mine = speakers_N == name
        asked = np.flatnonzero(is_mine & (emotions_N != NEUTRAL))
        known_NS, speakers, emotions = deltas_NS[~is_mine], speakers_N[~is_mine], emotions_N[~is_mine]
        unheard = [emotion for emotion in targets if not (emotions == emotion).any()]
        if unheard:
            raise UserError(f"directions: only one speaker has {unheard[0]} clips; at least two are needed")
        whitening_SS = None if rule == "none" else whitening(known_NS, emotions)
        asked_MS = deltas_NS[asked]
        if rule == "lda":
            means_ES = np.stack([known_NS[emotions == emotion].mean(axis=0) for emotion in targets])
        else:
            means_ES = np.stack([_mean_over_speakers(known_NS, speakers, emotions == emotion) for emotion in targets])
        if whitening_SS is not None:
            asked_MS, means_ES = asked_MS @ whitening_SS, means_ES @ whitening_SS
        if rule == "lda":
            scores_ME = asked_MS @ means_ES.T - 0.5 * np.square(means_ES).sum(axis=1)
        else:
            # the length of a delta is the same for all candidates
            scores_ME = asked_MS @ (means_ES / np.linalg.norm(means_ES, axis=1)[:, None]).T
        told[asked] = np.array(targets, dtype=object)[scores_ME.argmax(axis=1)]
    return told


def less_neutral(embeddings_NS: np.ndarray, speakers_N: np.ndarray, emotions_N: np.ndarray) -> np.ndarray:
    """Embeddings minus their own speaker's mean neutral one; every speaker has neutral clips."""
    deltas_NS = np.empty_like(embeddings_NS)
    for name in set(speakers_N):
        is_mine = speakers_N == name
        deltas_NS[is_mine] = embeddings_NS[is_mine] - embeddings_NS[is_mine & (emotions_N == NEUTRAL)].mean(axis=0)
    return deltas_NS


def targets_in(emotions_N: np.ndarray) -> Sequence[str]:
    """Those of `TARGET_EMOTIONS` that there are, in their order."""
    return [emotion for emotion in TARGET_EMOTIONS if emotion in set(emotions_N)]


def _mean_over_speakers(deltas_NS: np.ndarray, speakers_N: np.ndarray, is_chosen_N: np.ndarray) -> np.ndarray:
    """Mean over speakers of their mean delta, shape (S,)."""
    names = sorted(set(speakers_N[is_chosen_N]))
    return np.mean([deltas_NS[is_chosen_N & (speakers_N == name)].mean(axis=0) for name in names], axis=0)


def whitening(deltas_NS: np.ndarray, emotions_N: np.ndarray) -> np.ndarray:
    """Inverse root of the covariance within an emotion, shape (S, S), symmetric."""
    within_NS = deltas_NS.copy()
    for emotion in set(emotions_N):
        within_NS[emotions_N == emotion] -= deltas_NS[emotions_N == emotion].mean(axis=0)
    values_S, vectors_SS = np.linalg.eigh(shrunk_covariance(within_NS))
    return (vectors_SS / np.sqrt(values_S)) @ vectors_SS.T


def shrunk_covariance(values_NS: np.ndarray) -> np.ndarray:
    """Covariance of centred values, drawn towards equal spread as much as its own error asks for; shape (S, S).

    Unlike the plain one it has an inverse even where there are fewer clips than features.

    Source: Ledoit and Wolf, A well-conditioned estimator for large-dimensional covariance matrices, Journal of
    Multivariate Analysis 88 (2004), lemmas 3.2 to 3.4.
    """
    num, width = values_NS.shape
    sample_SS = values_NS.T @ values_NS / num
    mean = np.trace(sample_SS) / width
    distance = np.square(sample_SS - mean * np.eye(width)).sum()
    error = (np.square(values_NS).T @ np.square(values_NS) / num - np.square(sample_SS)).sum() / num
    share = min(error / distance, 1.0) if distance else 1.0
    return (1 - share) * sample_SS + share * mean * np.eye(width)
