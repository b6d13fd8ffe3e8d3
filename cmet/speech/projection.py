"""A projection of speech embeddings in which emotions are easier to tell apart.

Legend: N clips, S speech features, P projected features, E emotions.
"""

import numpy as np

from cmet.errors import UserError
from cmet.params import ProjectionRule
from cmet.speech.scaling import FittedProjection, ProjectionFacts
from cmet.speech.telling import RULES, less_neutral, targets_in, told_emotions, whitening
from cmet.vocabulary import NEUTRAL

MIN_SPEAKERS = 3
"""Speakers without whom nothing is fitted: one is left out, and of a single other one nothing can be learned."""


def fit_projection(
    wanted: ProjectionRule, embeddings_NS: np.ndarray, speakers_N: np.ndarray, emotions_N: np.ndarray
) -> tuple[FittedProjection | None, dict[str, float]]:
    """A projection fitted on the deltas of these clips, and how well each rule tells a speaker who is left out.

    Speakers without neutral clips, and emotions of a single speaker, have no part in it.

    Args:
        wanted: A rule; or `auto`, which takes the one that tells most, or none for fewer than `MIN_SPEAKERS`.
        embeddings_NS: Scaled embeddings of training clips.
        speakers_N: Their speakers.
        emotions_N: Their emotions.

    Returns:
        The projection, None where deltas stay as they are; and accuracy by rule, empty where nothing was measured.

    Raises:
        UserError: A rule is wanted for which there are too few speakers.
    """
    if wanted == "none":
        return None, {}
    keep_N = np.isin(speakers_N, speakers_N[emotions_N == NEUTRAL])
    for emotion in targets_in(emotions_N):
        if len(set(speakers_N[keep_N & (emotions_N == emotion)])) < 2:
            keep_N &= emotions_N != emotion
    embeddings_NS, speakers_N, emotions_N = (
        embeddings_NS[keep_N].astype(np.float64),
        speakers_N[keep_N],
        emotions_N[keep_N],
    )
    num_speakers = len(set(speakers_N))
    if num_speakers < MIN_SPEAKERS or not targets_in(emotions_N):
        if wanted == "auto":
            return None, {}
        raise UserError(
            f"deltas.speech_projection is {wanted}, but {num_speakers} training speaker(s) have neutral clips and an "
            f"emotion that another one has, too; {MIN_SPEAKERS} are needed"
        )
    is_asked = emotions_N != NEUTRAL
    accuracy: dict[str, float] = {}
    for rule in RULES if wanted == "auto" else ("none", wanted):
        told = told_emotions(rule, embeddings_NS, speakers_N, emotions_N, label=f"deltas: speech projection {rule}")
        accuracy[rule] = float(np.mean(told[is_asked] == emotions_N[is_asked]))
    chosen = max(accuracy, key=lambda rule: accuracy[rule]) if wanted == "auto" else wanted
    if chosen == "none":
        return None, accuracy
    facts = ProjectionFacts.model_validate({"rule": chosen, "num_speakers": num_speakers, "accuracy": accuracy})
    deltas_NS = less_neutral(embeddings_NS, speakers_N, emotions_N)
    matrix_PS = whitening(deltas_NS, emotions_N)
    if chosen == "lda":
        means_ES = np.stack([deltas_NS[emotions_N == emotion].mean(axis=0) for emotion in targets_in(emotions_N)])
        # its scores depend on a delta only by what lies in the span of these means
        matrix_PS = np.linalg.svd(means_ES @ matrix_PS, full_matrices=False)[2] @ matrix_PS
    return FittedProjection(matrix_PS.astype(np.float32), facts), accuracy
