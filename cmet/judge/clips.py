"""The prepared clips that a judge is trained and validated on."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from cmet.clips.product import Clips


def usable_clips(clips: Clips, classes: Sequence[str], split: str) -> pd.DataFrame:
    """Clips of a split that are not quarantined and show one of the classes, in the order of their ids."""
    rows = clips.usable
    return rows[rows["emotion"].isin(classes) & (rows["split"] == split)].sort_values("clip_id")


def videos_of(rows: pd.DataFrame, clips: Clips) -> list[Path]:
    """Where the picture of each clip lies."""
    return [clips.video(clip_id) for clip_id in rows["clip_id"]]
