"""What the stage `judge` leaves behind."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from cmet.judge.card import CARD, HISTORY, JudgeCard, read_card
from cmet.places import Places


@dataclass(frozen=True)
class JudgeFolder:
    """A judge on disk; `Judge.load` makes it answer."""

    folder: Path

    @classmethod
    def open(cls, places: Places) -> "JudgeFolder":
        """The judge of a project.

        Raises:
            UserError: There is none yet.
        """
        return cls(places.written("judge", CARD).parent)

    @cached_property
    def card(self) -> JudgeCard:
        """What a reader of a score must know of it."""
        return read_card(self.folder)

    @property
    def history(self) -> pd.DataFrame:
        """How it was trained (step, split, metric, value); empty for a released one."""
        return pd.read_parquet(self.folder / HISTORY)
