"""Machines that cannot train together say so, each of them."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
OTHERS = ("mounted", "another", "missing", "reseeded")
"""The project `one`, as it is for the other machine of each meeting."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where those projects are."""
    folder = tmp_path_factory.mktemp("meetings")
    for name, seed in (("one", 7), ("another", 7), ("reseeded", 8)):
        (folder / name).mkdir()
        (folder / name / "params.yaml").write_text(f"seed: {seed}\n")
    (folder / "mounted").symlink_to(folder / "one")
    return folder


@pytest.fixture(scope="module")
def said(folder: Path) -> dict[str, list[str]]:
    """What both processes of each meeting say, in the order of their ranks."""
    command = [sys.executable, "-m", "tests.meeting_nodes", *(str(folder / name) for name in ("one", *OTHERS))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert not done.returncode, done.stderr
    lines = [line.split(" ", 2) for line in sorted(done.stdout.splitlines())]
    assert len(lines) == 2 * len(OTHERS), done.stderr
    return {name: [text for number, _, text in lines if OTHERS[int(number)] == name] for name in OTHERS}


def test_machines_that_share_the_project_meet_and_leave_nothing(folder: Path, said: dict[str, list[str]]) -> None:
    assert said["mounted"] == ["met", "met"]
    assert list((folder / "one/.work").iterdir()) == []


def test_a_machine_with_another_folder_is_named(folder: Path, said: dict[str, list[str]]) -> None:
    expected = (
        f"node node1: its {folder / 'another'} is another folder than {folder / 'one'} of node0; put the project on a "
        "disk that all nodes share"
    )
    assert said["another"] == [expected, expected]


def test_a_machine_without_the_folder_is_named(folder: Path, said: dict[str, list[str]]) -> None:
    one, two = said["missing"]
    assert one == two
    assert one.startswith(f"node node1: {folder / 'missing/params.yaml'}: ")


def test_a_machine_with_other_parameters_is_named(folder: Path, said: dict[str, list[str]]) -> None:
    one, two = said["reseeded"]
    assert one == two
    assert one.startswith("node node1 is not like node0: parameters {'seed': 8} instead of {'seed': 7}; ")
