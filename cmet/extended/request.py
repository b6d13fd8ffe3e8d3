"""What a person asks for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cmet.editing.editor import Editor


@dataclass(frozen=True)
class Request:
    """The speech of extended emotions, what it is compared with, and the videos to edit."""

    folders: Sequence[Path]
    """One folder per emotion, named by it; or one folder that holds them all and no recording itself."""
    neutral_speech: Sequence[Path]
    """Calm recordings, files or folders."""
    videos: Sequence[Path] = ()
    editor: Editor | None = None
    """The model; without one only speech is measured."""
    basic: Path | None = None
    """Speech of the basic emotions: a tree of MEAD, or a folder with a sub-folder per emotion, neutral among them."""
    space: str | None = None
    """Encoder of the speech; None for the model's, or else what all recordings have."""
    is_speaker_in_name: bool = False
    """Whether names of files begin with the speaker, as in `anna_03.wav`."""
    seed: int = 0
    """Of the bootstrap."""
    is_quiet: bool = False
    """Whether to show no progress."""
