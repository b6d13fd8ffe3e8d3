"""Results made by hand."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd

from cmet.edits.product import sample_id
from cmet.scores.measured import Floor, HeldOut, JudgedNumbers, MethodScores, Numbers
from cmet.scores.results import ACC_EMO, COLUMNS, LOGIT, ROW
from cmet.vocabulary import TARGET_EMOTIONS
from tests.judge_card import CARD

PROTOCOL = "pool-by-intensity-00000000"
Said = list[tuple[str, str, str | None]]
"""Sentence, emotion, what the judge said."""

SET_FACTS: dict[str, object] = {
    "sample_id": sample_id(PROTOCOL, None, "cmet"),
    "corpus": "sample",
    "backbone": "facemesh",
    "method": "cmet",
    "protocol": PROTOCOL,
    "judge": "0" * 64,
    "is_held_out": False,
    **dict.fromkeys(ROW),
    "answer": None,
    "reason": None,
}


def results_of(
    said: Said, method: str = "cmet", is_held_out: bool = False, classes: Sequence[str] = TARGET_EMOTIONS
) -> pd.DataFrame:
    """Results of a judge alone; a clip without an answer has a reason and no logits."""
    facts = _facts(said, method, is_held_out)
    named = [answer for _, _, answer in said]
    accuracy = facts.assign(
        metric=ACC_EMO,
        value=[float(answer == emotion) for _, emotion, answer in said],
        answer=pd.Series(named, dtype=object),
        reason=pd.Series([None if answer else "unreadable: made so" for answer in named], dtype=object),
    )
    is_read = np.array([answer is not None for answer in named])
    logits = [
        facts[is_read].assign(
            metric=LOGIT + name, value=[float(answer == name) for answer in named if answer], answer=None, reason=None
        )
        for name in classes
    ]
    return pd.concat([accuracy, *logits], ignore_index=True)[COLUMNS]


def value_rows(said: Said, metric: str, values: Sequence[float], method: str = "cmet") -> pd.DataFrame:
    """Values of another metric for the same clips."""
    return _facts(said, method, False).assign(metric=metric, value=list(values), answer=None, reason=None)[COLUMNS]


def scores_of(accuracy: float, n: int = 10) -> MethodScores:
    """What one method might have reached."""
    return MethodScores(
        acc_emo=accuracy,
        acc_emo_macro=accuracy,
        interval=(accuracy - 0.1, accuracy + 0.1),
        n=n,
        num_correct=round(n * accuracy),
        num_failed=0,
        coverage=1.0,
        per_emotion={"angry": accuracy},
        per_emotion_n={"angry": n},
        per_level={"level_2": accuracy},
        confusion={"angry": {"angry": 7, "fear": 3}},
        metrics={},
    )


def numbers_of(methods: dict[str, MethodScores], held_out: HeldOut | None = None) -> Numbers:
    """Numbers of some methods."""
    return Numbers(methods, {}, 1 / 7, Floor(0.2, "angry"), 2, held_out, 0.95, 50, PROTOCOL)


def judged(numbers: Numbers, absent: Mapping[str, str] = MappingProxyType({})) -> JudgedNumbers:
    """Numbers as the stage `evaluate` writes them."""
    return JudgedNumbers(**vars(numbers), judge=CARD.as_scored(), absent=dict(absent))


def _facts(said: Said, method: str, is_held_out: bool) -> pd.DataFrame:
    table = pd.DataFrame([(sentence, emotion) for sentence, emotion, _ in said], columns=["sentence", "emotion"])
    row_ids = [f"row{number}" for number in range(len(table))]
    return table.assign(
        **{name: SET_FACTS[name] for name in ("corpus", "backbone", "protocol", "judge")},
        sample_id=[sample_id(PROTOCOL, row_id, method) for row_id in row_ids],
        row_id=row_ids,
        method=method,
        speaker="S",
        intensity=pd.array([2] * len(table), dtype="Int64"),
        is_held_out=is_held_out,
        source_clip="source",
        target_clip=row_ids,
    )
