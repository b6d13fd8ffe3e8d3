"""Hand-made outputs of a few stages, as small as they can be."""

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from cmet.media.video import write_video
from cmet.outputs import write_json
from cmet.project import Project

SPEAKERS = {"M101": "train", "W102": "val", "M103": "test"}
EMOTIONS = ("angry", "disgusted", "neutral")


def make_project(root: Path) -> Project:
    """A project without any output, with the params of this repository and disgust held out."""
    values = yaml.safe_load((Path(__file__).parents[2] / "params.yaml").read_text(encoding="utf-8"))
    (root / "params.yaml").write_text(yaml.safe_dump(values | {"held_out_emotion": "disgusted"}), encoding="utf-8")
    return Project.at(root / "params.yaml")


def clip_table() -> pd.DataFrame:
    """One clip per speaker and emotion."""
    rows = [
        {
            "clip_id": f"{speaker}-{emotion}",
            "corpus": "sample",
            "speaker": speaker,
            "emotion": emotion,
            "intensity": 1,
            "sentence": "001",
            "view": None,
            "split": split,
            "status": "ok",
            "reason": None,
            "num_frames": 4.0,
        }
        for (speaker, split), emotion in product(SPEAKERS.items(), EMOTIONS)
    ]
    return pd.DataFrame(rows)


def pair_table(clips: pd.DataFrame) -> pd.DataFrame:
    """Every emotional clip with its neutral one."""
    emotional = clips[clips.emotion != "neutral"]
    return pd.DataFrame(
        {
            "pair_id": emotional.clip_id,
            "emotion": emotional.emotion,
            "split": emotional.split,
            "neutral_clip": emotional.speaker + "-neutral",
            "emotional_clip": emotional.clip_id,
        }
    )


def write_table(project: Project, stage: str, name: str, table: pd.DataFrame, variant: str | None = None) -> None:
    """Put a table where a stage would."""
    folder = project.places.folder(stage, variant)
    folder.mkdir(parents=True, exist_ok=True)
    table.to_parquet(folder / name)


def write_report(project: Project, stage: str, report: dict, variant: str | None = None) -> None:
    """Put a report where a stage would."""
    write_json(project.places.metrics_file(stage, variant), report)


def write_grey_video(path: Path, level: int) -> None:
    """Four frames of one grey."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, [np.full((64, 64, 3), level, np.uint8)] * 4, 25)
