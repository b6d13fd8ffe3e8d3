"""What GitHub runs is what `.ci/run` has run before."""

import os
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").iterdir())
SCRIPT = re.compile(r"(?<![\w./])(?:\./|\.ci/)(\w+)")


def scripts_below(name: str) -> set[str]:
    """A script of `.ci` and those that it calls."""
    called = set(SCRIPT.findall((ROOT / ".ci" / name).read_text(encoding="utf-8"))) - {name}
    return {name}.union(*(scripts_below(other) for other in called))


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_runs_scripts_that_ci_run_runs_too(workflow: Path) -> None:
    jobs = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"]
    commands = " ; ".join(step["run"] for job in jobs.values() for step in job["steps"] if "run" in step)
    called = set(SCRIPT.findall(commands))
    assert called
    assert called <= scripts_below("run")
    assert all(os.access(ROOT / ".ci" / name, os.X_OK) for name in called)
