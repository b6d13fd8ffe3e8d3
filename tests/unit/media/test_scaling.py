"""Pictures at another size."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import cmet
from tests.unit.conftest import ROOT

PROGRAM = """
import hashlib
from cmet.media.scaling import scaled
import cv2, numpy as np
picture = np.random.default_rng(0).integers(0, 256, (90, 120, 3))
made = [scaled(picture.astype(kind), 200, 150, how) for kind in ("uint8", "float32") for how in range(4)]
print(hashlib.sha256(b"".join(one.tobytes() for one in made)).hexdigest())
"""


def test_pictures_are_scaled_by_the_same_code_whatever_ipp_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    exec(PROGRAM, {})
    environment = {**os.environ, "OPENCV_IPP": "disabled"}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == capsys.readouterr().out


def test_everything_is_scaled_at_one_place() -> None:
    files = Path(cmet.__file__).parent.rglob("*.py")
    assert [file.name for file in files if "cv2.resize(" in file.read_text(encoding="utf-8")] == ["scaling.py"]
