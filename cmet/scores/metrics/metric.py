"""What a metric is given and what it answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cmet.errors import ClipError


@dataclass(frozen=True)
class Shown:
    """An edited clip and what it can be compared with."""

    video: Path
    truth: Path | None
    """The same person really saying the sentence with the wanted emotion; a take of its own, so not in step."""
    source: Path | None
    """The neutral clip that was edited, frame by frame in step."""
    sound: Path | None
    """What the lips should follow: the neutral source's sound, a wav or a video that has one."""
    emotion: str | None = None
    """The wanted one."""
    judged: str | None = None
    """What the judge of `acc_emo` names; None where it has no answer."""


@dataclass(frozen=True)
class Measured:
    """Values of a list of clips."""

    per_clip: Sequence[Mapping[str, float] | ClipError]
    """For each clip, in order, its values by name, or why there are none."""
    of_set: Mapping[str, float]
    """Values that only the whole list has, by name."""


class Metric(Protocol):
    """One kind of measurement.

    `per_clip` and `of_set` have the names of `NAMES` and no others. Frames are streamed: memory does not grow with the
    number of clips, but for a few numbers of each.
    """

    NAMES: tuple[str, ...]
    """As they stand in tables and in MLflow."""
    WEIGHTS: tuple[str, ...]
    """Registered checkpoints (cmet.weights) it cannot do without."""
    IS_OF_SETS: bool
    """Whether there are values of a whole list, so that every method and the held-out emotion are measured apart."""

    @classmethod
    def load(cls, weights: Path) -> "Metric":
        """The metric, ready to measure.

        Args:
            weights: Folder of published checkpoints.

        Raises:
            UserError: A checkpoint is missing or is another one; the message becomes the reason why it is absent.
        """
        ...

    def measure(self, clips: Sequence[Shown], label: str) -> Measured:
        """Measure clips, with a progress bar called `label`.

        A clip that cannot be read, or has nothing to be compared with, gets a `ClipError`, never an exception.
        """
        ...
