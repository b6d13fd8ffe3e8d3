"""From what stands in the fields of the page to what an edit takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cmet.editing.choice import ModelChoice
from cmet.editing.options import EditOptions, NamedEmotion, Share, WantedEmotion
from cmet.editing.timeline import Timeline
from cmet.errors import UserError
from cmet.studio.models import OfferedModel

Way = Literal["name", "voice", "times"]
"""How the emotion is given: chosen by name, heard in a voice, or by a table of times."""

NEUTRAL: Literal["neutral"] = "neutral"


@dataclass(frozen=True)
class StudioWishes:
    """All fields of the page."""

    model: OfferedModel
    way: Way = "name"
    weights: Mapping[str, float] | None = None
    """How much of each emotion, 0 to 1."""
    speech: tuple[Path, ...] = ()
    """Recordings with the emotion."""
    neutral_speech: tuple[Path, ...] = ()
    """Calm ones."""
    rows: Sequence[Sequence[object]] = ()
    """Start, end, emotion and strength, as they were typed."""
    strength: float | None = None
    """None to have one found."""
    is_marked: bool = False
    is_side_by_side: bool = False

    @property
    def choice(self) -> ModelChoice:
        """The model, as an edit is told of it."""
        return ModelChoice(self.model.folder, self.model.connector)

    @property
    def options(self) -> EditOptions:
        """The rest, as an edit is told of it."""
        return EditOptions(strength=self.strength, is_quiet=True, is_marked=self.is_marked)

    @property
    def calm(self) -> tuple[Path, ...]:
        """Calm recordings, where an edit needs them."""
        return self.neutral_speech if self.way == "voice" else ()

    def wanted(self) -> WantedEmotion | Timeline:
        """The emotion.

        Raises:
            UserError: There is none, or it is not given whole.
        """
        if self.way == "voice":
            return self._heard()
        if self.way == "times":
            return self._timed()
        shares = {name: weight for name, weight in (self.weights or {}).items() if weight > 0}
        if not shares:
            raise UserError("choose an emotion")
        return blend_of(shares)

    def _timed(self) -> Timeline:
        raise UserError("not yet")

    def _heard(self) -> WantedEmotion:
        if not self.speech:
            raise UserError("give a recording of a voice with the emotion")
        if not self.neutral_speech:
            raise UserError("give a calm recording too, best by the same voice: the difference is what counts")
        return self.speech


def blend_of(shares: Mapping[str, float]) -> WantedEmotion:
    """Emotions that are told, with how much of each."""
    (name, weight), *others = shares.items()
    if not others and weight == 1:
        return NamedEmotion(name)
    return tuple(Share(NamedEmotion(one), share) for one, share in shares.items())
