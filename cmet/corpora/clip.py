"""Labels of one clip, as a path or a table of a corpus says them; no file is opened."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cmet.errors import ClipError

NO_VIDEO = "no_video"
"""Reason of a clip that is a sound alone, in a corpus of pictures."""


Utterance = tuple[str, str, int | None, str]
"""Speaker, emotion, intensity and sentence of what was said once, before one camera or several."""


@dataclass(frozen=True)
class Clip:
    """Labels of one clip."""

    clip_id: str
    """Unique and filesystem-safe: `mead-M003-angry-3-021`."""
    speaker: str
    emotion: str
    """One of `vocabulary.EMOTIONS` or `vocabulary.EXTENDED_EMOTIONS`."""
    intensity: int | None
    """1 to 3, None where the corpus does not say."""
    sentence: str
    split: str
    """train, val or test."""
    view: str | None = None
    """Which camera, where the corpus has several and the path says it."""
    known_defect: str | None = None
    """Why the published clip is known to be unusable."""

    @property
    def utterance(self) -> Utterance:
        """The same for all views of it."""
        return self.speaker, self.emotion, self.intensity, self.sentence


class NotWanted(Exception):
    """A file of the corpus that is no clip for us (another view, a copy without sound); counted by reason."""


Parse = Callable[[Path], Clip]
"""Labels from a path relative to the root; opens no file.

Raises ClipError `bad_name` when they cannot be read, and `NotWanted`."""


def split_by_speaker(splits: dict[str, str], speaker: str, path: Path, corpus: str) -> str:
    """Split of a speaker.

    Raises:
        ClipError: `unknown_speaker`.
    """
    if speaker not in splits:
        raise ClipError("unknown_speaker", f"{path}: speaker {speaker} belongs to no split of {corpus}")
    return splits[speaker]
