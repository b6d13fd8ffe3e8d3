"""The faults that the tests must catch can still be put into the code; that they are caught, `tests.faults` shows."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FAULTS = ROOT / "tests/faults"
LISTED = yaml.safe_load((FAULTS / "faults.yaml").read_text(encoding="utf-8"))


def test_every_patch_is_listed() -> None:
    assert [fault["patch"] for fault in LISTED] == sorted(path.name for path in FAULTS.glob("*.patch"))


@pytest.mark.parametrize("patch", [fault["patch"] for fault in LISTED])
def test_a_patch_applies(patch: str) -> None:
    # a folder above may be a checkout, in which git would look for the files
    environment = os.environ | {"GIT_CEILING_DIRECTORIES": str(ROOT.parent)}
    command = ["git", "apply", "--check", str(FAULTS / patch)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr


@pytest.mark.parametrize("test", [test for fault in LISTED for test in fault["tests"]])
def test_a_test_that_catches_one_is_there(test: str) -> None:
    path, _, name = test.partition("::")
    assert f"def {name.partition('[')[0]}(" in (ROOT / path).read_text(encoding="utf-8")
