"""One edit, as `video` and `parity` need it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cmet.editing.editor import Editor
from cmet.editing.emotions.known import KnownEmotion
from cmet.editing.frames.source import Source
from cmet.editing.wishes.options import EditOptions, LipsFrom


@dataclass(frozen=True, eq=False)
class EditJob:
    """What both ways of editing need."""

    editor: Editor
    emotions: tuple[KnownEmotion, ...]
    """In their order along the result."""
    names: tuple[str, ...]
    """Of the emotions, without folders."""
    options: EditOptions
    lips: LipsFrom
    samples: np.ndarray | None
    """Sound that the lips follow."""
    person: np.ndarray | None
    """Picture of the person who is drawn; None for the one of the video."""
    sound: Path
    """Whose sound the result has."""
    out: Path

    def heard_in(self, source: Source) -> Path:
        """The file whose sound or pictures the lips follow."""
        return self.lips if isinstance(self.lips, Path) else source.path
