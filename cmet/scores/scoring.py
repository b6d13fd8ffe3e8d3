"""From clips to results: what the judge says of every clip, and every other metric, each failed clip included."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cmet.edits.product import sample_id, sample_ids
from cmet.errors import ClipError
from cmet.scores.judging import judge_clips
from cmet.scores.metrics.metric import Measured, Metric, Shown
from cmet.scores.results import ACC_EMO, COLUMNS, LOGIT, ROW, SET
from cmet.vocabulary import GROUND_TRUTH

if TYPE_CHECKING:
    from cmet.judge.classifier import Judge

FILES = ["video", "truth", "source", "sound"]
"""Columns with paths, or None."""
JUDGED = "judged"
"""Column with the emotion that the judge names, or None."""

JudgeAnswer = np.ndarray | str
"""Mean logits of a clip, or the reason why there are none."""


def score_clips(clips: pd.DataFrame, judge: "Judge", metrics: Mapping[str, Metric], label: str) -> pd.DataFrame:
    """Results of clips: the emotion that the judge names, and the values of all metrics.

    True clips (`GROUND_TRUTH`) are judged only.

    Args:
        clips: One row per clip and method: the columns `SET` without `judge`, `ROW`, `FILES` and `reason` (why there is
            no video, or None).
        judge: Names the emotions; it sees every file once.
        metrics: By name.
        label: Of the progress bars.
    """
    clips = clips.assign(judge=judge.card.sha256, sample_id=sample_ids(clips)).reset_index(drop=True)
    said = _answers(clips, judge, label)
    names = [None if isinstance(answer, str) else judge.classes[int(answer.argmax())] for answer in said]
    clips[JUDGED] = pd.Series(names, dtype=object)
    parts = [_judged(clips, said, judge.classes)]
    edited = clips[clips.method != GROUND_TRUTH]
    for name, metric in metrics.items():
        for _, group in edited.groupby(["method", "is_held_out"], sort=False) if metric.IS_OF_SETS else [("", edited)]:
            parts.append(_measured(group, metric, f"{label}: {name}"))
    return pd.concat(parts, ignore_index=True)[COLUMNS]


def _answers(clips: pd.DataFrame, judge: "Judge", label: str) -> list[JudgeAnswer]:
    files = list(dict.fromkeys(path for path in clips.video if path is not None))
    said = dict(zip(files, judge_clips(judge, files, label), strict=True))
    answers: list[JudgeAnswer] = []
    for path, reason in zip(clips.video, clips.reason, strict=True):
        answer = reason or "not made" if path is None else said[path]
        answers.append(str(answer) if isinstance(answer, ClipError) else answer)
    return answers


def _judged(clips: pd.DataFrame, answers: Sequence[JudgeAnswer], classes: Sequence[str]) -> pd.DataFrame:
    """The rows of `ACC_EMO` and of the logits."""
    reasons = [answer if isinstance(answer, str) else None for answer in answers]
    facts = clips[["sample_id", *SET, *ROW]]
    accuracy = facts.assign(
        metric=ACC_EMO,
        value=[float(said == wanted) for said, wanted in zip(clips[JUDGED], clips.emotion, strict=True)],
        answer=clips[JUDGED],
        reason=pd.Series(reasons, dtype=object),
    )
    is_read = np.array([not isinstance(answer, str) for answer in answers])
    parts = [accuracy]
    if is_read.any():
        logits_NC = np.stack([answer for answer in answers if not isinstance(answer, str)]).astype(float)
        parts += [
            facts[is_read].assign(metric=LOGIT + name, value=logits_NC[:, column], answer=None, reason=None)
            for column, name in enumerate(classes)
        ]
    return pd.concat(parts, ignore_index=True)


def _measured(clips: pd.DataFrame, metric: Metric, label: str) -> pd.DataFrame:
    """The rows of one metric; a clip without a video gets the reason why."""
    is_made = clips.video.notna().to_numpy()
    shown = [Shown(*files) for files in clips.loc[is_made, [*FILES, "emotion", JUDGED]].itertuples(index=False)]
    measured = metric.measure(shown, label) if shown else Measured([], {})
    answers = iter(measured.per_clip)
    per_clip = [next(answers) if made else ClipError("not_made", "") for made in is_made]
    reasons = [
        reason or str(answer) if isinstance(answer, ClipError) else None
        for answer, reason in zip(per_clip, clips.reason, strict=True)
    ]
    facts = clips[["sample_id", *SET, *ROW]]
    parts = [
        facts.assign(
            metric=name,
            value=[np.nan if isinstance(answer, ClipError) else answer.get(name, np.nan) for answer in per_clip],
            answer=None,
            reason=pd.Series(reasons, index=clips.index, dtype=object),
        )
        for name in metric.NAMES
        if name not in measured.of_set and any(_has(answer, name) for answer in per_clip)
    ]
    if measured.of_set:
        parts.append(_of_set(clips, measured.of_set))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)


def _has(answer: Mapping[str, float] | ClipError, name: str) -> bool:
    return isinstance(answer, ClipError) or name in answer


def _of_set(clips: pd.DataFrame, found: Mapping[str, float]) -> pd.DataFrame:
    first = clips.iloc[0]
    facts: dict[str, Any] = {name: first[name] for name in SET} | dict.fromkeys(ROW)
    facts["sample_id"] = sample_id(first.protocol, None, first.method)
    rows = [facts | {"metric": name, "value": value, "answer": None, "reason": None} for name, value in found.items()]
    return pd.DataFrame(rows).astype({"intensity": "Int64"})


def paths_or_none(names: Iterable[Any], path_of: Callable[[str], Path]) -> pd.Series:
    """The path of every name, None where a name is null."""
    return pd.Series([None if pd.isna(name) else path_of(name) for name in names], dtype=object)
