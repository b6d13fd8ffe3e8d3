"""What a run has heard and made, before it is shown."""

from dataclasses import dataclass

from cmet.extended.faces import EditedVideo
from cmet.extended.hearing import HeardRecordings, LeftOut
from cmet.extended.speech import Basics, Rest


@dataclass(frozen=True, eq=False)
class HeardAndMade:
    """All that was heard and made."""

    space: str
    scaling: str
    emotions: dict[str, HeardRecordings]
    neutral: HeardRecordings
    rest: Rest
    basics: Basics | None
    edited: list[EditedVideo]
    left_out: list[LeftOut]
    num_shared: int
    """Extended clips that are neutral or basic ones as well."""
