"""From what stands in the fields of the page to what an edit takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from cmet.editing.choice import ModelChoice
from cmet.editing.wishes.options import EditOptions, NamedEmotion, Share, WantedEmotion
from cmet.editing.wishes.timeline import Segment, Timeline
from cmet.editing.wishes.timetable import parsed_time, parsed_words
from cmet.errors import UserError
from cmet.inputs.texts import shown
from cmet.studio.models import OfferedModel

Way = Literal["name", "voice", "times"]
"""How the emotion is given: chosen by name, heard in a voice, or by a table of times."""

VOICE = "voice"
"""In the table: what is heard in the recordings."""


HEARS_ONLY = "this model knows no emotion by its name; give recordings of a voice, or choose another model"


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
    is_following: bool = False
    """Whether the face follows the recording as it goes on, where the emotion is heard."""

    @property
    def choice(self) -> ModelChoice:
        """The model, as an edit is told of it."""
        return ModelChoice(self.model.folder, self.model.connector)

    @property
    def options(self) -> EditOptions:
        """The rest, as an edit is told of it."""
        return EditOptions(strength=self.strength, is_quiet=True, is_marked=self.is_marked)

    @property
    def voice(self) -> tuple[Path, ...]:
        """Recordings with the emotion, where an edit needs them."""
        return self.speech if self._uses_voice else ()

    @property
    def calm(self) -> tuple[Path, ...]:
        """Calm recordings, where an edit needs them."""
        return self.neutral_speech if self._uses_voice else ()

    def wanted(self) -> WantedEmotion | Timeline:
        """The emotion.

        Raises:
            UserError: There is none, or it is not given whole.
        """
        if self.way == "voice":
            return Timeline.of(self._heard()).following if self.is_following else self._heard()
        if self.way == "times":
            return self._timed()
        shares = {name: weight for name, weight in (self.weights or {}).items() if weight > 0}
        if not self.model.emotions:
            raise UserError(HEARS_ONLY)
        if not shares:
            raise UserError("choose an emotion")
        return blend_of(shares)

    @property
    def _uses_voice(self) -> bool:
        if self.way == "times":
            return any(VOICE in cells[2].casefold().split() for cells in self._cells)
        return self.way == "voice"

    @property
    def _cells(self) -> list[list[str]]:
        """Rows of the table in which something stands, as text."""
        rows = [["" if cell is None else str(cell).strip() for cell in row] for row in self.rows]
        return [row for row in rows if any(row)]

    def _timed(self) -> Timeline:
        segments: list[Segment] = []
        for number, (start, end, emotion, strength) in enumerate(self._cells, 1):
            where = f"line {number} of the table"
            try:
                blend = tuple(map(self._with_voice, parsed_words(emotion)))
                # without a start it follows on the line above
                start_s = parsed_time(start) if start else _next_start_s(segments)
                end_s = parsed_time(end) if end else None
                segments.append(Segment(start_s, end_s, blend, _strength(strength), where))
            except UserError as error:
                raise UserError(f"{where}: {error}") from error
        if not segments:
            raise UserError("write the times of an emotion into the table")
        return Timeline(tuple(sorted(segments, key=lambda one: one.start_s)))

    def _with_voice(self, share: Share) -> Share:
        """A share of an emotion, or of what is heard where the word for it stands."""
        if not isinstance(share.emotion, NamedEmotion):
            return share
        if share.emotion.name.casefold() == VOICE:
            return replace(share, emotion=self._heard())
        if not self.model.emotions:
            raise UserError(HEARS_ONLY)
        return share

    def _heard(self) -> tuple[Path, ...]:
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


def _next_start_s(segments: Sequence[Segment]) -> float:
    if not segments:
        return 0.0
    if segments[-1].end_s is None:
        raise UserError("the line above has no end; write when this one starts")
    return segments[-1].end_s


def _strength(text: str) -> float | None:
    if not text:
        return None
    try:
        return float(text.replace(",", "."))
    except ValueError as error:
        raise UserError(f"{shown(text)!r} is no strength; write a number, or nothing to have one found") from error
