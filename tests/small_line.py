"""The whole line, as small as it can be: every stage does its real work on a few clips."""

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
SMALLER: dict[str, dict[str, Any]] = {
    "sample": {"num_train_speakers": 1, "num_test_speakers": 1, "sentences_per_speaker": 1, "levels": [3]},
    # fewer frames to look at and to draw
    "clips": {"fps": 5},
    "expression": {"num_components": 6, "num_calibration_clips": 2},
    "train": {"num_steps": 6, "batch_size": 8, "validate_every": 3, "checkpoint_every": 3, "log_every": 2},
    "judge": {"num_epochs": 1, "num_train_frames": 2, "num_frames": 2},
    "timing": {"num_clips": 1, "num_warm_up": 0},
    # landmarks have tests of their own, and starting their workers takes longer than looking at these clips
    "evaluate": {"metrics": ["fid"], "num_bootstrap": 50},
    "report": {"num_examples": 1},
}


def write_small_params(root: Path) -> Path:
    """params.yaml of the repository with these values, in a folder."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    for section, changes in SMALLER.items():
        values[section] |= changes
    path = root / "params.yaml"
    path.write_text(yaml.safe_dump(values))
    return path
