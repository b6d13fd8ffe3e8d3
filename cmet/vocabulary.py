"""The words that all rooms share: emotions, splits and statuses of clips, methods of an evaluation."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")

NEUTRAL = "neutral"

EMOTIONS = ("angry", "contempt", "disgusted", "fear", "happy", NEUTRAL, "sad", "surprised")
"""The vocabulary of all corpora, in the label order of the paper (angry 0 ... surprised 7)."""

TARGET_EMOTIONS = tuple(emotion for emotion in EMOTIONS if emotion != NEUTRAL)
"""The emotions a neutral clip can be edited to, and the classes of the judge."""

EXTENDED_EMOTIONS = ("calm", "charismatic", "desirous", "empathetic", "envious", "romantic", "sarcastic")
"""Labels a corpus may have besides: RAVDESS's calm, and those of C-MET's extended speech. There is no class for them in
the paper's network and judge, so they take no part in training."""

SYNONYMS = {
    "anger": "angry", "disgust": "disgusted", "fearful": "fear", "happiness": "happy", "joy": "happy",
    "sadness": "sad", "surprise": "surprised",
}  # fmt: skip
"""What people write for words of `EMOTIONS` in tables and names of files."""

SPLITS = ("train", "val", "test")

METHODS = ("neutral", "reference", "cmet", "oracle")
"""The methods of an evaluation in the order of every table."""

GROUND_TRUTH = "ground_truth"
"""The true emotional clips themselves, as if they were a method: the ceiling that the judge sets."""

CHANCE = 1 / len(TARGET_EMOTIONS)


def in_order(methods: Mapping[str, T]) -> dict[str, T]:
    """Methods in the order of every table, the true clips last; JSON files have them by the alphabet."""
    return {name: methods[name] for name in (*METHODS, GROUND_TRUTH) if name in methods}


def order_problem(order: Sequence[str]) -> str | None:
    """What is wrong with a declared order of emotions, as the end of a sentence about it; None where nothing is."""
    unknown = [name for name in order if name not in EMOTIONS]
    if unknown:
        return f"has {', '.join(map(repr, unknown))}, not among {', '.join(EMOTIONS)}"
    doubled = sorted({name for name in order if list(order).count(name) > 1})
    if doubled:
        return f"has {', '.join(doubled)} more than once"
    if len(order) < 2:
        return f"has {len(order)} emotion(s), and a judge chooses between two or more"
    return None
