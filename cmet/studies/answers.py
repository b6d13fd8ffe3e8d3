"""What the judge says of the edits of a fold; a clip that could not be made or read is wrong, and counts."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from cmet.edits.product import Edits
from cmet.errors import ClipError
from cmet.judge.classifier import Judge
from cmet.judge.product import JudgeFolder

ANSWER_LABELS = ["row_id", "method", "speaker", "sentence", "target", "intensity"]
"""What is known of an edited clip before it is judged; `target` is the wanted emotion."""


def judge_edits(edits: Edits, judge: JudgeFolder, emotion: str | None) -> pd.DataFrame:
    """The answers of the judge to the edits of one emotion, or of all of them.

    Args:
        edits: The edited clips.
        judge: Who names their emotions.
        emotion: None for all.

    Returns:
        The columns `ANSWER_LABELS`, and `predicted`, `correct` and `reason` as `answer_rows` has them.

    Raises:
        UserError: There are no edits, or the judge's weights are not those of its card.
    """
    table = edits.table
    table = table[table["emotion"] == emotion] if emotion else table
    videos = list(table["video"].dropna())
    classifier = Judge.load(judge.folder)
    said = classifier.classify_clips([edits.video(video) for video in videos], "unseen: judge")
    return answer_rows(table, dict(zip(videos, said, strict=True)), classifier.classes)


def answer_rows(
    edits: pd.DataFrame, said: Mapping[str, np.ndarray | ClipError], classes: Sequence[str]
) -> pd.DataFrame:
    """One row per edited clip: `predicted` (null without a readable clip), `correct`, and `reason` where there is none.

    Args:
        edits: Rows of an `Edits` table.
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
    rows = edits.rename(columns={"emotion": "target"})[ANSWER_LABELS].reset_index(drop=True)
    return rows.assign(
        predicted=pd.Series(predicted, dtype=object),
        correct=[name == target for name, target in zip(predicted, rows["target"], strict=True)],
        reason=pd.Series(reasons, dtype=object),
    )
