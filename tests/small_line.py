"""The whole line, as small as it can be: every stage does its real work on a few clips."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from cmet.outputs import write_json
from cmet.params import declared
from cmet.project import Project
from cmet.stages.registry import STAGES

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


def write_small_params(root: Path, metrics: Sequence[str] = ()) -> Path:
    """params.yaml of the repository with these values and further metrics, in a folder."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    for section, changes in SMALLER.items():
        values[section] |= changes
    values["evaluate"]["metrics"] = [*values["evaluate"]["metrics"], *metrics]
    path = root / "params.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def write_small_checkout(root: Path) -> None:
    """The files of this checkout that git knows or would add, with the parameters of the small line, in a folder.

    There is no lock, since that of the checkout is of other parameters. The environment is that of the tests.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file() and not name.startswith(("tests/", "docs/")) and name != "dvc.lock":
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, root / name)
    write_small_params(root)
    (root / ".venv").symlink_to(sys.prefix)


def run_untracked(name: str, project: Project, variant: str | None = None) -> None:
    """Run a stage, of which MLflow hears nothing, and keep its report."""
    stage, variants = STAGES[name], [] if variant is None else [variant]
    report = stage.function(project.places, declared(project.params, stage.params), *variants)
    write_json(project.places.metrics_file(name, variant), asdict(report))


def run_small_line(root: Path, opened: Path, **variables: str) -> None:
    """Run all stages in a new project, with the metric that maps over clips, too; here or on a cluster.

    Args:
        root: The project's folder, which is made.
        opened: Gets the files of the package that each stage has opened.
        variables: Of the environment; RAY_ADDRESS names the cluster.
    """
    root.mkdir(parents=True)
    params = write_small_params(root, ["landmarks"])
    command = [sys.executable, "-m", "tests.traced", params, opened]
    environment = os.environ | {"RAY_ADDRESS": ""} | variables
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
