"""Machines that cannot train together say so, each of them."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def met(*roots: Path) -> list[str]:
    """What both processes say, in the order of their ranks."""
    command = [sys.executable, "-m", "tests.meeting_nodes", *map(str, roots)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert not done.returncode, done.stderr
    return [line.partition(" ")[2] for line in sorted(done.stdout.splitlines())]


def project(root: Path, seed: int = 7) -> Path:
    root.mkdir()
    (root / "params.yaml").write_text(f"seed: {seed}\n")
    return root


def test_machines_that_share_the_project_meet_and_leave_nothing(tmp_path: Path) -> None:
    root = project(tmp_path / "one")
    (tmp_path / "mounted").symlink_to(root)
    assert met(root, tmp_path / "mounted") == ["met", "met"]
    assert list((root / ".work").iterdir()) == []


def test_a_machine_with_another_folder_is_named(tmp_path: Path) -> None:
    one, two = project(tmp_path / "one"), project(tmp_path / "two")
    said = (
        f"node node1: its {two} is another folder than {one} of node0; put the project on a disk that all nodes share"
    )
    assert met(one, two) == [said, said]


def test_a_machine_without_the_folder_is_named(tmp_path: Path) -> None:
    said = met(project(tmp_path / "one"), tmp_path / "two")
    assert said[0] == said[1]
    assert said[0].startswith(f"node node1: {tmp_path / 'two/params.yaml'}: ")


def test_a_machine_with_other_parameters_is_named(tmp_path: Path) -> None:
    one, two = project(tmp_path / "one"), project(tmp_path / "two", seed=8)
    said = met(one, two)
    assert said[0] == said[1]
    assert said[0].startswith("node node1 is not like node0: parameters {'seed': 8} instead of {'seed': 7}; ")
