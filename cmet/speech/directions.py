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
from cmet.speech.telling import told_emotions
from cmet.text_tables import text_table
from cmet.vocabulary import EMOTIONS

PROTOCOL = "leave-one-speaker-out nearest direction, single clips, micro-averaged"
LDA = "LDA: all of them by shrinkage LDA on the same deltas"


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
    nearest, by_lda = (told_emotions(rule, vectors, rows.speaker.to_numpy(), emotions) for rule in ("none", "lda"))
    is_right = pd.Series(nearest == emotions)[emotions != "neutral"]
    per_emotion = is_right.groupby(emotions[emotions != "neutral"]).mean()
    return Directions(
        encoder, float(is_right.mean()), 1 / len(per_emotion), len(is_right), rows.speaker.nunique(),
        {str(emotion): float(value) for emotion, value in per_emotion.items()},
        float((by_lda == emotions)[emotions != "neutral"].mean()),
    )  # fmt: skip


@dataclass(frozen=True)
class DirectionsReport:
    """Leave-one-speaker-out accuracy by encoder."""

    accuracy: dict[str, float]
    lda_accuracy: dict[str, float]
    """By linear discriminant analysis in place of the nearest direction."""
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
        {result.encoder: result.accuracy for result in results},
        {result.encoder: result.lda_accuracy for result in results},
        results[0].num_clips,
        results[0].num_speakers,
    )


def directions_table(results: list[Directions]) -> str:
    """A Markdown table, one row per encoder."""
    emotions = sorted({emotion for result in results for emotion in result.per_emotion})
    headings = ["encoder", "all", *emotions, "LDA", "clips", "speakers", "chance"]
    rows = [
        [
            result.encoder,
            f"{result.accuracy:.3f}",
            *(f"{result.per_emotion.get(emotion, float('nan')):.2f}" for emotion in emotions),
            f"{result.lda_accuracy:.3f}",
            str(result.num_clips),
            str(result.num_speakers),
            f"{result.chance:.2f}",
        ]
        for result in results
    ]
    table = text_table(headings, rows, is_padded=False)
    return f"Speech deltas that point to their own emotion\n({PROTOCOL}; {LDA})\n\n{table}\n"
