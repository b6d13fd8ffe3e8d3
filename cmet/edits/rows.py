"""Which clips are edited and to which true clip each is compared: every row that was planned, also those that are lost.

A row is one neutral source clip and one emotional clip of the same speaker and sentence.
"""

import hashlib
import json
from dataclasses import asdict
from typing import Any

import pandas as pd

from cmet.corpora import cremad, mead
from cmet.corpora.clip import Clip
from cmet.edits.benchmark import BENCHMARKS, benchmark_paths
from cmet.edits.pools import PoolKey
from cmet.edits.product import DrivingSpeech, EditsProtocol
from cmet.errors import UserError
from cmet.params import EditsParams

PARSERS = {"mead": mead.parse, "cremad": cremad.parse}
ROW_LABELS = ["speaker", "emotion", "intensity", "sentence"]
ROW_COLUMNS = ["row_id", *ROW_LABELS, "is_held_out", "source_clip", "target_clip", "reason"]
"""`reason` says why a planned row cannot be made; null for the others."""


def planned_rows(
    pairs: pd.DataFrame, clips: pd.DataFrame, params: EditsParams, held_out_emotion: str | None
) -> pd.DataFrame:
    """The rows of an evaluation, sorted as the manifest has them (`official`) or by id (`test-pairs`).

    Args:
        pairs: Rows of `pairs.parquet`.
        clips: Rows of `clips.parquet`, to say what became of a row that is no pair.
        params: The `edits` section.
        held_out_emotion: Rows of it are marked.

    Raises:
        UserError: There is no row, or the corpus has no official manifest.
    """
    if params.rows == "test-pairs":
        test = pairs[pairs.split == "test"].sort_values("pair_id", ignore_index=True)
        if test.empty:
            raise UserError("edits: no test pairs; the corpus needs test speakers with neutral and emotional clips")
        return _as_rows(test)
    corpora = sorted(pairs.corpus.unique())
    if len(corpora) != 1 or corpora[0] not in BENCHMARKS:
        raise UserError(
            f"edits.rows is official, but the corpus is {', '.join(corpora)}; C-MET has official manifests of "
            f"{' and '.join(BENCHMARKS)} only (edits.rows: test-pairs)"
        )
    return _official_rows(corpora[0], pairs, clips, held_out_emotion)


def official_clips(name: str) -> list[Clip]:
    """Labels of the true clips of an official manifest, in its order."""
    return [PARSERS[name](path) for _, path in benchmark_paths(name)]


def protocol_facts(rows: pd.DataFrame, speech: dict[PoolKey, DrivingSpeech], params: EditsParams) -> EditsProtocol:
    """All that decides which clips are edited from which speech; the connector and the backbone are no part of it."""
    facts: dict[str, Any] = {
        "pools": params.pools,
        "num_speech_clips": params.num_speech_clips,
        "pool_seed": params.pool_seed if params.pools == "static-folder" else None,
        "identity_frame": params.identity_frame,
        "rows": params.rows,
        "clips": rows[["row_id", "source_clip", "target_clip"]].fillna("").to_numpy().tolist(),
        "speech": {f"{emotion} {level}": speech[emotion, level] for emotion, level in sorted(speech)},
    }
    digest = _digest(facts)
    return EditsProtocol(
        name=f"{params.pools}-{digest[:8]}", sha256=digest, pools_sha256=_digest(facts["speech"]), **facts
    )


def _digest(facts: object) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=asdict).encode()).hexdigest()


def _as_rows(pairs: pd.DataFrame) -> pd.DataFrame:
    names = {"pair_id": "row_id", "neutral_clip": "source_clip", "emotional_clip": "target_clip"}
    return pairs.rename(columns=names).assign(reason=None)[ROW_COLUMNS]


def _official_rows(name: str, pairs: pd.DataFrame, clips: pd.DataFrame, held_out_emotion: str | None) -> pd.DataFrame:
    planned = pd.DataFrame(
        [(clip.clip_id, clip.speaker, clip.emotion, clip.intensity, clip.sentence) for clip in official_clips(name)],
        columns=["planned", *ROW_LABELS],
    ).astype({"intensity": "Int64"})
    pairs, clips = (table[table.view.isna() | (table.view == mead.FRONT)] for table in (pairs, clips))
    rows = planned.merge(_as_rows(pairs), how="left", on=ROW_LABELS)
    is_lost = rows.row_id.isna()
    reasons = [_loss(row, clips) if lost else None for row, lost in zip(rows.itertuples(), is_lost, strict=True)]
    return rows.assign(
        row_id=rows.row_id.fillna(rows.planned),
        is_held_out=rows.emotion == held_out_emotion,
        reason=pd.Series(reasons, index=rows.index, dtype=object),
    )[ROW_COLUMNS]


def _loss(row: Any, clips: pd.DataFrame) -> str:
    """What became of a row without a pair."""
    same = clips[(clips.speaker == row.speaker) & (clips.emotion == row.emotion) & (clips.sentence == row.sentence)]
    same = same[same.intensity.isna() if pd.isna(row.intensity) else same.intensity == row.intensity]
    if same.empty:
        return f"not_in_corpus: {row.planned}"
    if (same.status != "ok").all():
        return f"quarantined: {same.iloc[0].clip_id}: {same.iloc[0].reason}"
    return f"no_pair: {same.iloc[0].clip_id} has no usable neutral clip, sound or codes"
