"""What an edit did, as numbers and sentences."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class EmotionReport:
    """What one of several emotions does where it stands alone."""

    name: str
    """Where its speech was, or what was told; `neutral` where nothing is changed."""
    mean_change: float
    """As `EditReport` has it."""
    strength: float
    """Factor on the predicted delta."""
    likeness: dict[str, float] = field(default_factory=dict)
    """As `EditReport` has it."""
    clamped_share: float = 0.0
    """As `EditReport` has it."""
    is_told: bool = False
    """Whether it was told by its name."""
    start_s: float | None = None
    """From when it is shown; None where emotions have no times."""
    end_s: float | None = None
    """Up to when."""


@dataclass(frozen=True)
class EditReport:
    """What an edit did."""

    num_frames: int
    fps: float
    width_px: int
    height_px: int
    face_ratio: float | None
    """Share of the frames, or of those looked at, that show the face; None where no face was looked for."""
    mean_change: float
    """Root mean square of the added expression delta, in code units."""
    clamped_share: float = 0.0
    """Share of speech features outside of what the model was trained on, which were brought back to its limit."""
    strength: float = 1.0
    """Factor on the predicted delta."""
    has_typical_unit: bool = True
    """Whether a delta of 1 is a typical emotional one."""
    likeness: dict[str, float] = field(default_factory=dict)
    """What the recordings sound like, as `Editor.likeness` gives it: the same as warnings are made of; empty for an
    emotion that was told, since nothing was heard."""
    told_emotion: str | None = None
    """The emotion, where one was told by its name."""
    held_out_emotion: str | None = None
    """Emotion that the model knows only by its mean, as training left it out."""
    emotions: tuple[EmotionReport, ...] = ()
    """In their order, where there are several or they have times; then they have the strengths, likenesses and clamped
    shares."""
    warnings: tuple[str, ...] = ()
    """What a person should know first: recordings sound like another emotion than they are named after, or like two."""
    remarks: tuple[str, ...] = ()
    """What else a person should know."""
