"""The emotions of a judge's logits, in their order."""

from collections.abc import Sequence

from cmet.params import EMOTIONS, TARGET_EMOTIONS

NEUTRAL = "neutral"


def trained_classes(has_neutral: bool) -> tuple[str, ...]:
    """The classes of a judge that is trained here: those of the paper, and `neutral` after them where it is wanted."""
    return (*TARGET_EMOTIONS, NEUTRAL) if has_neutral else TARGET_EMOTIONS


def problem_of(order: Sequence[str]) -> str | None:
    """What is wrong with a declared order, as the end of a sentence about it; None where nothing is."""
    unknown = [name for name in order if name not in EMOTIONS]
    if unknown:
        return f"has {', '.join(map(repr, unknown))}, not among {', '.join(EMOTIONS)}"
    doubled = sorted({name for name in order if list(order).count(name) > 1})
    if doubled:
        return f"has {', '.join(doubled)} more than once"
    if len(order) < 2:
        return f"has {len(order)} emotion(s), and a judge chooses between two or more"
    return None
