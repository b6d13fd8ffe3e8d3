"""The words of an evaluation: methods in their order, chance, names of files."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from cmet.params import TARGET_EMOTIONS

T = TypeVar("T")

METHODS = ("neutral", "reference", "cmet", "oracle")
"""The methods in the order of every table."""

GROUND_TRUTH = "ground_truth"
"""The true emotional clips themselves, as if they were a method: the ceiling that the judge sets."""

CHANCE = 1 / len(TARGET_EMOTIONS)
EDITS = "edits.parquet"
PROTOCOL = "protocol.json"
"""Beside the edits: rows, speech and settings that all methods share."""
METRICS = "metrics.json"
TIMING = "timing.json"


def in_order(methods: Mapping[str, T]) -> dict[str, T]:
    """Methods in the order of every table, the true clips last; JSON files have them by the alphabet."""
    return {name: methods[name] for name in (*METHODS, GROUND_TRUTH) if name in methods}


def video_path(clips_folder: Path, clip_id: str) -> Path:
    """Where the picture of a prepared clip lies."""
    return clips_folder / "video" / f"{clip_id}.mp4"
