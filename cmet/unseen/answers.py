"""What the judge says of the edits of a fold; a clip that could not be made or read is wrong, and counts."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from cmet.edits.product import EDITS
from cmet.errors import ClipError
from cmet.judge.classifier import Judge

LABELS = ["row_id", "method", "speaker", "sentence", "target", "intensity"]
"""What is known of an edited clip before it is judged; `target` is the wanted emotion."""


def judge_edits(edits_folder: Path, judge_folder: Path, emotion: str | None) -> pd.DataFrame:
    """The answers of the judge to the edits of one emotion, or of all of them.

    Args:
        edits_folder: Holds `edits.parquet` and the videos it names.
        judge_folder: A trained judge.
        emotion: None for all.

    Returns:
        The columns `LABELS`, and `predicted`, `correct` and `reason` as `answer_rows` has them.

    Raises:
        UserError: There is no judge.
    """
    edits = pd.read_parquet(edits_folder / EDITS)
    edits = edits[edits["emotion"] == emotion] if emotion else edits
    videos = list(edits["video"].dropna())
    judge = Judge.load(judge_folder)
    said = judge.classify_clips([edits_folder / video for video in videos], "unseen: judge")
    return answer_rows(edits, dict(zip(videos, said, strict=True)), judge.classes)


def answer_rows(
    edits: pd.DataFrame, said: Mapping[str, np.ndarray | ClipError], classes: Sequence[str]
) -> pd.DataFrame:
    """One row per edited clip: `predicted` (null without a readable clip), `correct`, and `reason` where there is none.

    Args:
        edits: Rows of `edits.parquet`.
        said: By video, its mean logits, shape (C,), or why it cannot be read.
        classes: The C answers there are, in the order of the logits.
    """
    predicted: list[str | None] = []
    reasons: list[str | None] = []
    for video, reason in zip(edits["video"], edits["reason"], strict=True):
        answer = reason if pd.isna(video) else said[video]
        if isinstance(answer, np.ndarray):
            predicted.append(classes[int(answer.argmax())])
            reasons.append(None)
        else:
            predicted.append(None)
            reasons.append(str(answer))
    rows = edits.rename(columns={"emotion": "target"})[LABELS].reset_index(drop=True)
    return rows.assign(
        predicted=pd.Series(predicted, dtype=object),
        correct=[name == target for name, target in zip(predicted, rows["target"], strict=True)],
        reason=pd.Series(reasons, dtype=object),
    )
