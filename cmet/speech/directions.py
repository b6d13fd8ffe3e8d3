"""What speech deltas say about emotion: how often a delta of an unheard speaker points to its own emotion."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cmet.errors import UserError
from cmet.outputs import fresh_folder, write_json
from cmet.speech.encoders.encoder import SCALED
from cmet.speech.product import RESULT, TEXT, Directions, DirectionsFacts, Voices
from cmet.text_tables import text_table
from cmet.vocabulary import EMOTIONS, TARGET_EMOTIONS

PROTOCOL = "leave-one-speaker-out nearest direction, single clips, micro-averaged"


def nearest_directions(embeddings_ND: np.ndarray, speakers: np.ndarray, emotions: np.ndarray) -> np.ndarray:
    """Emotion whose direction is nearest to each emotional clip's delta; None for neutral clips.

    The direction of an emotion is the mean over the *other* speakers of their mean emotional minus their mean
    neutral embedding; the delta of a clip is its embedding minus its own speaker's mean neutral one; nearest
    means the largest cosine.

    Args:
        embeddings_ND: Shape (N, D).
        speakers: Shape (N,). Every speaker has neutral clips.
        emotions: Shape (N,).
    """
    names = sorted(set(speakers))
    targets = [emotion for emotion in TARGET_EMOTIONS if emotion in set(emotions)]
    rest = {name: embeddings_ND[(speakers == name) & (emotions == "neutral")].mean(axis=0) for name in names}
    nearest = np.full(len(emotions), None, dtype=object)
    for name in names:
        directions = np.stack(
            [
                _mean_direction(embeddings_ND, speakers, emotions, rest, emotion, [n for n in names if n != name])
                for emotion in targets
            ]
        )
        mine = np.flatnonzero((speakers == name) & (emotions != "neutral"))
        # the length of a delta is the same for all candidates
        cosines = (embeddings_ND[mine] - rest[name]) @ (directions / np.linalg.norm(directions, axis=1)[:, None]).T
        nearest[mine] = np.array(targets, dtype=object)[cosines.argmax(axis=1)]
    return nearest


def _mean_direction(
    embeddings: np.ndarray, speakers: np.ndarray, emotions: np.ndarray, rest: dict, emotion: str, others: list[str]
) -> np.ndarray:
    deltas = [
        embeddings[mask].mean(axis=0) - rest[other]
        for other in others
        if (mask := (speakers == other) & (emotions == emotion)).any()
    ]
    if not deltas:
        raise UserError(f"directions: only one speaker has {emotion} clips; at least two are needed")
    return np.mean(deltas, axis=0)


def measure_directions(clips: pd.DataFrame, voices: Voices, encoder: str) -> Directions:
    """Score one encoder on all usable clips with an emotion of the vocabulary, since no other can be the answer.

    Raises:
        UserError: Fewer than two speakers have neutral clips.
    """
    rows = clips[clips.clip_id.isin(voices.clip_ids)]
    with_neutral = set(rows.speaker[rows.emotion == "neutral"])
    if len(with_neutral) < 2:
        raise UserError(f"directions: {len(with_neutral)} speaker(s) with neutral clips; at least two are needed")
    rows = rows[rows.speaker.isin(with_neutral)]
    vectors = voices.of(rows.clip_id.to_list()).astype(np.float64)
    if encoder in SCALED:
        spread = vectors.std(axis=0)
        vectors = vectors / np.where(spread > 0, spread, 1.0)
    is_known = rows.emotion.isin(EMOTIONS).to_numpy()
    rows, vectors = rows[is_known], vectors[is_known]
    emotions = rows.emotion.to_numpy()
    nearest = nearest_directions(vectors, rows.speaker.to_numpy(), emotions)
    is_right = pd.Series(nearest == emotions)[emotions != "neutral"]
    per_emotion = is_right.groupby(emotions[emotions != "neutral"]).mean()
    return Directions(
        encoder, float(is_right.mean()), 1 / len(per_emotion), len(is_right), rows.speaker.nunique(),
        {str(emotion): float(value) for emotion, value in per_emotion.items()},
    )  # fmt: skip


@dataclass(frozen=True)
class DirectionsReport:
    """Leave-one-speaker-out accuracy by encoder."""

    accuracy: dict[str, float]
    num_clips: int
    num_speakers: int


def write_directions(clips: pd.DataFrame, voices: Mapping[str, Voices], out: Path) -> DirectionsReport:
    """Score every encoder, print the table, and write what `DirectionsResult` reads into a folder."""
    results = [measure_directions(clips, heard, name) for name, heard in voices.items()]
    with fresh_folder(out) as folder:
        write_json(folder / RESULT, DirectionsFacts(PROTOCOL, {result.encoder: result for result in results}))
        (folder / TEXT).write_text(directions_table(results), encoding="utf-8")
    print(directions_table(results))
    return DirectionsReport(
        {result.encoder: result.accuracy for result in results}, results[0].num_clips, results[0].num_speakers
    )


def directions_table(results: list[Directions]) -> str:
    """A Markdown table, one row per encoder."""
    emotions = sorted({emotion for result in results for emotion in result.per_emotion})
    headings = ["encoder", "all", *emotions, "clips", "speakers", "chance"]
    rows = [
        [
            result.encoder,
            f"{result.accuracy:.3f}",
            *(f"{result.per_emotion.get(emotion, float('nan')):.2f}" for emotion in emotions),
            str(result.num_clips),
            str(result.num_speakers),
            f"{result.chance:.2f}",
        ]
        for result in results
    ]
    table = text_table(headings, rows, is_padded=False)
    return f"Speech deltas that point to their own emotion\n({PROTOCOL})\n\n{table}\n"
