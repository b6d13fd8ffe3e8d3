"""The prepared clips that a judge is trained and validated on."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from cmet.clips.product import video_path


def usable_clips(clips: pd.DataFrame, classes: Sequence[str], split: str) -> pd.DataFrame:
    """Clips of a split that are not quarantined and show one of the classes, in the order of their ids."""
    is_usable = (clips["status"] == "ok") & clips["emotion"].isin(classes) & (clips["split"] == split)
    return clips[is_usable].sort_values("clip_id")


def videos_of(clips: pd.DataFrame, clips_folder: Path) -> list[Path]:
    """Where the picture of each clip lies."""
    return [video_path(clips_folder, clip_id) for clip_id in clips["clip_id"]]
