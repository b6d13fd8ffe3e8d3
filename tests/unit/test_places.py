"""One run of a stage at a time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cmet.errors import UserError
from cmet.places import only_run

HOLDER = """
import sys, time
from pathlib import Path
from cmet.places import only_run

with only_run(Path(sys.argv[1]), "clips"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_run_of_a_stage_is_told_of_the_first_until_that_is_gone(tmp_path: Path) -> None:
    lock = tmp_path / "clips.lock"
    with subprocess.Popen([sys.executable, "-c", HOLDER, lock], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        said = rf"clips: another run of this stage is at work \(pid {process.pid}\); wait for it or stop it"
        with pytest.raises(UserError, match=said), only_run(lock, "clips"):
            pass
        process.kill()
    # what a killed run leaves behind locks nothing
    with only_run(lock, "clips"):
        assert lock.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_fails_locks_nothing(tmp_path: Path) -> None:
    lock = tmp_path / "work" / "clips.lock"
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), only_run(lock, "clips"):
            assert lock.read_text() == str(os.getpid())
            raise ZeroDivisionError
        assert not lock.exists()
