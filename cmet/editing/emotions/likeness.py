"""What recordings sound like to a model, before any video is changed, and what a person should know of it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cmet.editing.editor import is_like_none
from cmet.editing.emotions.known import KnownEmotion
from cmet.vocabulary import NEUTRAL, SYNONYMS, TARGET_EMOTIONS

DOUBT_MARGIN = 0.15
"""Two cosines that are closer leave it open which emotion was heard. Those of surprised and fear often are: in the
built-in model the two themselves have a cosine of 0.94."""


@dataclass(frozen=True)
class HeardEmotion:
    """What recordings sound like."""

    name: str
    """As the recordings were named."""
    likeness: Mapping[str, float]
    """As `Editor.likeness` gives it."""
    wish: str | None
    """The emotion that the recordings are called after."""


def named_wish(paths: Sequence[Path]) -> str | None:
    """The emotion after which all recordings are called, or the folders they were named with; None where they differ.

    A name counts from the file up, word by word: `sad/`, `angry_02.wav`, `happiness/take1/a.wav`.
    """
    wishes = {_wish(path) for path in paths}
    return wishes.pop() if len(wishes) == 1 else None


def _wish(path: Path) -> str | None:
    for name in (path.stem, *reversed(path.parent.parts)):
        words = re.split(r"[^a-z]+", name.casefold())
        emotions = {SYNONYMS.get(word, word) for word in words} & {*TARGET_EMOTIONS}
        if emotions:
            return emotions.pop() if len(emotions) == 1 else None
    return None


def heard_warnings(name: str, likeness: Mapping[str, float], wish: str | None = None) -> list[str]:
    """What a person should know before an edit begins: another emotion was heard than was named, or it is doubtful.

    Args:
        name: What the recordings are called in the sentences.
        likeness: As `Editor.likeness` gives it.
        wish: The emotion that the recordings shall show, if that is known.
    """
    if not likeness:
        return []
    (first, cosine), *others = sorted(likeness.items(), key=lambda item: -item[1])
    if wish not in (None, NEUTRAL, first):
        wished = f", {wish} {likeness[wish]:.2f}" if wish in likeness else ""
        return [
            f"{name}: named {wish}, but this model hears {first} (cosine {cosine:.2f}{wished}), and that is what "
            f"the face gets; give more recordings, or take --emotion {wish}"
        ]
    if others and cosine - others[0][1] < DOUBT_MARGIN and not is_like_none(likeness):
        second, near = others[0]
        return [
            f"{name}: this model hears something between {first} and {second} (cosines {cosine:.2f} and {near:.2f}); "
            "give more recordings, or name the emotion with --emotion"
        ]
    return []


def heard_emotions(emotions: Sequence[KnownEmotion]) -> tuple[HeardEmotion, ...]:
    """What was heard in all recordings of an edit, each once; those of a blend by themselves."""
    all_of_them = [one for emotion in emotions for one in emotion.parts or (emotion,)]
    known = {(one.name, one.recordings): one for one in all_of_them if one.heard is not None}
    return tuple(HeardEmotion(one.name, one.likeness, named_wish(one.recordings)) for one in known.values())


def warnings_of(heard: Sequence[HeardEmotion]) -> tuple[str, ...]:
    """`heard_warnings` of all that was heard in an edit."""
    return tuple(said for one in heard for said in heard_warnings(one.name, one.likeness, one.wish))
