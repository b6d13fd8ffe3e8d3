"""Which speech drives a row: the two protocols of the published code.

pool-by-intensity   its benchmark data set: speech of all speakers of the rows is pooled by emotion and level; item i is
                    neutral clip i and emotional clip 7 i, modulo the sizes of the pools, start index 0
static-folder       its command line: as many clips drawn once from two folders, seed 42. Differs from the published
                    code: a folder is such a pool, and sorted (published, the seed does not fix the choice); one that
                    holds fewer clips is taken whole (published, an error)
"""

import random
from collections.abc import Sequence

import numpy as np
import pandas as pd

from cmet.connector.bundle import Bundle
from cmet.corpora.mead import FRONT
from cmet.edits.product import DrivingSpeech
from cmet.params import EditsParams
from cmet.speech.product import Voices

EMOTIONAL_STRIDE = 7
NO_LEVEL = 0
"""Stands for the intensity of a clip whose corpus does not say; such clips are a pool of their own."""

PoolKey = tuple[str, int]
"""Emotion and level."""


def choose_speech(
    rows: pd.DataFrame, clips: pd.DataFrame, heard: pd.Index, params: EditsParams
) -> dict[PoolKey, DrivingSpeech]:
    """The speech of every emotion and level of the rows, from their own speakers.

    Args:
        rows: Planned rows, with speaker, emotion and intensity.
        clips: Rows of `clips.parquet`.
        heard: Ids of the clips that have a speech embedding.
        params: The `edits` section.
    """
    pool = with_level(clips[clips.speaker.isin(rows.speaker) & clips.clip_id.isin(heard)])
    pool = _of_one_view(pool).sort_values(["speaker", "sentence"])
    neutral = pool.clip_id[pool.emotion == "neutral"].to_list()
    choose = {"pool-by-intensity": _strided, "static-folder": _drawn}[params.pools]
    chosen = {}
    for emotion, level in with_level(rows)[["emotion", "level"]].drop_duplicates().itertuples(index=False):
        emotional = pool.clip_id[(pool.emotion == emotion) & (pool.level == level)].to_list()
        chosen[emotion, level] = choose(emotional, neutral, params)
    return chosen


def speech_deltas(speech: dict[PoolKey, DrivingSpeech], voices: Voices, bundle: Bundle) -> dict[PoolKey, np.ndarray]:
    """Scaled speech delta of every emotion and level, shape (S,)."""
    return {
        key: bundle.scaled_speech_delta(voices.of(chosen.neutral), voices.of(chosen.emotional))
        for key, chosen in speech.items()
    }


def with_level(clips: pd.DataFrame) -> pd.DataFrame:
    """A column `level` that can be compared: the intensity, or `NO_LEVEL`."""
    return clips.assign(level=clips.intensity.astype("Int64").fillna(NO_LEVEL).astype(int))


def _of_one_view(clips: pd.DataFrame) -> pd.DataFrame:
    """Each utterance once: all of its views have the same sound. The frontal one where there is one."""
    seen = sorted(clips.view.dropna().unique(), key=lambda view: (view != FRONT, view))
    return clips[clips.view.isna() | clips.view.isin(seen[:1])]


def _strided(emotional: Sequence[str], neutral: Sequence[str], params: EditsParams) -> DrivingSpeech:
    items = range(params.num_speech_clips)
    return DrivingSpeech(
        tuple(emotional[EMOTIONAL_STRIDE * i % len(emotional)] for i in items),
        tuple(neutral[i % len(neutral)] for i in items),
    )


def _drawn(emotional: Sequence[str], neutral: Sequence[str], params: EditsParams) -> DrivingSpeech:
    draw = random.Random(params.pool_seed)
    return DrivingSpeech(
        *(tuple(draw.sample(ids, min(params.num_speech_clips, len(ids)))) for ids in (emotional, neutral))
    )
