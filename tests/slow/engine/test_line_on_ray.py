"""The whole line on a cluster of two nodes, each with folders of its own, and on this machine alone."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cmet.outputs import content_digest
from tests.ray_nodes import RayNodes
from tests.small_line import write_small_checkout

ROOT = Path(__file__).parents[3]
pytestmark = [pytest.mark.slow, pytest.mark.workers]
CLIP_STAGES = ("sample", "clips", "speech", "expression", "edits", "evaluate")
"""Stages that map over clips, each once in the small line."""


@pytest.fixture(scope="module")
def nodes() -> Iterator[RayNodes]:
    """Two nodes of one core each."""
    nodes = RayNodes()
    try:
        nodes.start_two()
        yield nodes
    finally:
        nodes.stop()


@pytest.fixture(scope="module")
def lines(nodes: RayNodes, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two projects in which every stage has run and DVC has recorded it: on this machine alone, and on the nodes."""
    alone, on_nodes = (tmp_path_factory.mktemp(name) for name in ("alone", "on-nodes"))
    # side by side: most of a line has one process
    started = [_line(alone, {}), _line(on_nodes, nodes.environment | {"RAY_ADDRESS": nodes.address})]
    for process in started:
        said, _ = process.communicate()
        assert process.returncode == 0, said[-3000:]
    return alone, on_nodes


def _line(root: Path, variables: dict[str, str]) -> subprocess.Popen[str]:
    """All stages and `dvc commit`, which leaves what `dvc repro` does in a quarter of the time."""
    write_small_checkout(root)
    (root / ".dvc/config.local").write_text("[core]\n    no_scm = true\n")
    values = yaml.safe_load((root / "params.yaml").read_text())
    # the one metric that maps over clips
    values["evaluate"]["metrics"] = ["landmarks"]
    (root / "params.yaml").write_text(yaml.safe_dump(values))
    python = shlex.quote(sys.executable)
    commands = f"{python} -m tests.traced params.yaml opened.json && {python} -m dvc commit --force"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "DVC_NO_ANALYTICS": "1", "RAY_ADDRESS": ""} | variables
    return subprocess.Popen(
        ["bash", "-c", commands], cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_the_whole_line_has_the_same_lock_and_the_same_bytes(lines: tuple[Path, Path]) -> None:
    alone, on_nodes = lines
    lock = (alone / "dvc.lock").read_text()
    assert (on_nodes / "dvc.lock").read_text() == lock
    outs = [out["path"] for stage in yaml.safe_load(lock)["stages"].values() for out in stage["outs"]]
    assert len(outs) > 2 * len(CLIP_STAGES)
    different = [out for out in outs if _digest(alone / out) != _digest(on_nodes / out)]
    assert not different


def _digest(path: Path) -> str | bytes:
    return content_digest(path) if path.is_dir() else path.read_bytes()


def test_every_stage_over_clips_was_at_work_on_both_nodes(lines: tuple[Path, Path], nodes: RayNodes) -> None:
    for number in range(2):
        logs = (nodes.folder / str(number) / "tmp").glob("session_2*/logs/worker-*.out")
        assert sum(":actor_name:NodeWorkers" in log.read_text() for log in logs) == len(CLIP_STAGES)
