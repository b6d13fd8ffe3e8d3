"""What a person may wish of an edit."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from cmet.errors import UserError

Framing = Literal["paste", "crop", "as-is"]
Transition = Literal["smooth", "switch"]
CRF = 14
"""Quality of the written video."""

LipsFrom = Literal["own", "speech"] | Path


@dataclass(frozen=True)
class NamedEmotion:
    """An emotion that is told, so that no recording has to show it; what it sounds like the model has on record."""

    name: str


OneEmotion = Sequence[Path] | NamedEmotion | Literal["neutral"]
"""Recordings with one emotion, files and folders; one that is told; or no change of the video."""


@dataclass(frozen=True)
class Share:
    """One emotion of a blend."""

    emotion: OneEmotion
    weight: float = 1.0
    """Above 0, up to 1. The weights of a blend add up to its strength: 1 is an emotion as it is."""

    def __post_init__(self) -> None:
        """Look at the weight.

        Raises:
            UserError: It is out of range.
        """
        if not 0 < self.weight <= 1:
            raise UserError(f"a weight of {self.weight:g}: expected one above 0, up to 1")

    @property
    def said(self) -> str:
        """As a person writes it."""
        return emotion_said(self.emotion) if self.weight == 1 else f"{self.weight:g} {emotion_said(self.emotion)}"


WantedEmotion = OneEmotion | tuple[Share, ...]
"""An emotion, or a blend of some."""


def shares_of(emotion: WantedEmotion) -> tuple[Share, ...]:
    """An emotion as a blend, of which it may be the only one."""
    if not isinstance(emotion, NamedEmotion | str) and emotion and isinstance(emotion[0], Share):
        return tuple(one for one in emotion if isinstance(one, Share))
    return (Share(cast(OneEmotion, emotion)),)


def recordings(emotion: WantedEmotion) -> Sequence[Path]:
    """Those in which an emotion is to be heard; none where it is told, and of no change."""
    heard = (share.emotion for share in shares_of(emotion) if not isinstance(share.emotion, NamedEmotion | str))
    return tuple(path for paths in heard for path in paths)


def emotion_said(emotion: WantedEmotion) -> str:
    """What an emotion is called: its name, its first recording, or each of these for a blend."""
    if isinstance(emotion, str):
        return emotion
    if isinstance(emotion, NamedEmotion):
        return emotion.name
    if emotion and isinstance(emotion[0], Share):
        return " + ".join(share.said for share in shares_of(emotion))
    first, *others = emotion
    return f"{first} and {len(others)} more" if others else str(first)


@dataclass(frozen=True)
class EditOptions:
    """How to edit; None leaves it to the backbone."""

    framing: Framing | None = None
    """`paste`: the face square is cut out, edited and put back; `crop`: the edited square is the result; `as-is`: the
    video is a face square already."""
    lips: LipsFrom | None = None
    """`own`: those of the video; `speech`: they follow its sound; a file: they follow that sound or that video."""
    source: Path | None = None
    """A picture, or a video, of the person who is drawn; None for the one of the video."""
    sound: Path | None = None
    """Sound of the result; None for that of the file the lips follow."""
    strength: float | None = None
    """Factor on the predicted delta; None makes it a typical one, where codes have such a unit, and else is 1. Of
    several emotions, each is made a typical one by itself."""
    then: tuple[WantedEmotion, ...] = ()
    """Emotions that follow the first one along the result."""
    transition: Transition | None = None
    """How emotions follow each other, here or on a timeline; None for `smooth`."""
    is_parity: bool = False
    """Whether to follow the authors' procedure exactly."""
    is_quiet: bool = False
    """Whether to show no progress."""
    is_marked: bool = False
    """Whether every frame of the result says that it is edited."""
    is_signed: bool = False
    """Whether the result gets signed credentials; see `cmet.editing.result.credentials`."""
    sign_key: Path | None = None
    """Private key that signs, in PEM; None for one that is thrown away."""
    sign_certificate: Path | None = None
    """Its certificate in PEM, and those that vouch for it."""
