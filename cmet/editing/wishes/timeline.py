"""Emotions with their times along a video, as a person wishes for them.

How they are read from a table is in `cmet.editing.wishes.timetable`, and what they change of a video in
`cmet.editing.emotions.known`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from cmet.editing.wishes.options import Share, WantedEmotion, recordings, shares_of
from cmet.errors import UserError

EASE_S = 0.8
"""Seconds that the change from one emotion to the next takes: about as long as a face takes."""

MAX_EASE_S = 60.0
MAX_SEGMENTS = 1000
MAX_STRENGTH = 5.0


@dataclass(frozen=True)
class Segment:
    """A part of a video with an emotion of its own."""

    start_s: float
    end_s: float | None
    """None: up to the next segment, or to the end of the video."""
    blend: tuple[Share, ...]
    """One emotion, or several at once."""
    strength: float | None = None
    """As `EditOptions` has it; None for what is wished for the whole video."""
    where: str = field(default="", compare=False)
    """Where a person wrote it, for messages; empty for its number."""
    follows: bool = False
    """Whether the face follows the one recording as it goes on, instead of showing what all of it sounds like."""

    @property
    def is_change(self) -> bool:
        """Whether anything is changed in it."""
        return any(share.emotion != "neutral" for share in self.blend)


@dataclass(frozen=True)
class Timeline:
    """Segments in the order of their times; what lies between them is left as it is."""

    segments: tuple[Segment, ...]
    ease_s: float = EASE_S
    """Seconds that the change from one segment to the next takes, half of them on either side; less where a segment is
    shorter, and 0 for none."""

    def __post_init__(self) -> None:
        """Look at what can be told without the video.

        Raises:
            UserError: There is no segment that changes anything, one has a time or a strength that cannot be, or they
                overlap.
        """
        if not 0 <= self.ease_s <= MAX_EASE_S:
            raise UserError(f"{self.ease_s:g} s from one segment to the next: expected 0 to {MAX_EASE_S:g} s")
        if not any(segment.is_change for segment in self.segments):
            raise UserError("the timeline changes nothing; give a segment an emotion")
        if len(self.segments) > MAX_SEGMENTS:
            raise UserError(f"{len(self.segments):,} segments; a timeline has at most {MAX_SEGMENTS:,}")
        for number, segment in enumerate(self.segments):
            fault = _fault(segment)
            if fault is None and number:
                before = self.segments[number - 1]
                fault = _overlap(before, segment, where(before, number - 1))
            if fault is not None:
                raise UserError(f"{where(segment, number)}: {fault}")

    @classmethod
    def of(cls, emotion: WantedEmotion, strength: float | None = None) -> "Timeline":
        """One emotion for the whole video."""
        return cls((Segment(0.0, None, shares_of(emotion), strength),))

    @property
    def following(self) -> "Timeline":
        """The same, with a face that follows all recordings.

        Raises:
            UserError: There are none, or a blend of some.
        """
        if not any(recordings(segment.blend) for segment in self.segments):
            raise UserError("--follow: there is no recording to follow; name one with --speech, --at or --timeline")
        heard = (replace(one, follows=bool(recordings(one.blend))) for one in self.segments)
        return replace(self, segments=tuple(heard))


def with_ends(segments: Sequence[Segment], duration_s: float, fps: float) -> list[Segment]:
    """The same segments, with an end for each.

    Args:
        segments: In the order of their times.
        duration_s: Length of the result.
        fps: Its frame rate; an end may lie one frame behind the last.

    Raises:
        UserError: A segment starts or ends after the end of the result.
    """
    starts = [segment.start_s for segment in segments[1:]]
    ended = []
    for number, (segment, next_s) in enumerate(zip(segments, [*starts, duration_s], strict=True)):
        lasts = f"but the video lasts {duration_s:.4g} s"
        if segment.start_s >= duration_s:
            raise UserError(f"{where(segment, number)}: starts at {segment.start_s:g} s, {lasts}; leave it out")
        end_s = next_s if segment.end_s is None else segment.end_s
        if segment.end_s is not None and end_s > duration_s + 1 / fps:
            raise UserError(
                f"{where(segment, number)}: ends at {end_s:g} s, {lasts}; give it no end, for that of the video"
            )
        ended.append(replace(segment, end_s=min(end_s, duration_s)))
    return ended


def where(segment: Segment, number: int) -> str:
    """What a segment is called in messages; they are counted from 0."""
    return segment.where or f"segment {number + 1}"


def _fault(segment: Segment) -> str | None:
    """What is wrong with a segment by itself."""
    if not 0 <= segment.start_s < math.inf:
        return f"starts at {segment.start_s:g} s; expected 0 or later"
    if segment.end_s is not None and not segment.start_s < segment.end_s < math.inf:
        return f"ends at {segment.end_s:g} s, and starts at {segment.start_s:g} s; give it an end after its start"
    if segment.strength is not None and not 0 <= segment.strength <= MAX_STRENGTH:
        return f"a strength of {segment.strength:g}: expected 0 to {MAX_STRENGTH:g}"
    if segment.follows and (len(segment.blend) != 1 or not recordings(segment.blend)):
        return "only one recording by itself can be followed; leave `follow` out"
    return None if segment.blend else "names no emotion; write neutral for no change"


def _overlap(before: Segment, segment: Segment, name: str) -> str | None:
    if segment.start_s <= before.start_s:
        return f"starts at {segment.start_s:g} s, not after {name} ({before.start_s:g} s); order them by their starts"
    if before.end_s is not None and segment.start_s < before.end_s:
        return (
            f"starts at {segment.start_s:g} s, before {name} ends ({before.end_s:g} s); give several emotions at once "
            "as a blend, such as 0.5 happy + 0.4 sad"
        )
    return None
