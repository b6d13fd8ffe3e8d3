import subprocess
import sys
import zipfile
from pathlib import Path
from shutil import copy, copytree, ignore_patterns

import pytest

from cmet.editing.built_in import BUILT_IN

ROOT = Path(__file__).parents[3]


def test_a_wheel_carries_the_built_in_model(tmp_path: Path) -> None:
    pytest.importorskip("setuptools")
    source = tmp_path / "source"
    copytree(ROOT / "cmet", source / "cmet", ignore=ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        copy(ROOT / name, source / name)
    build = "from setuptools.build_meta import build_wheel; build_wheel('.')"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True)
    with zipfile.ZipFile(next(source.glob("cmet-*.whl"))) as wheel:
        folder = f"{BUILT_IN.relative_to(ROOT).as_posix()}/"
        carried = {name.removeprefix(folder): wheel.read(name) for name in wheel.namelist() if name.startswith(folder)}
    assert carried == {
        path.relative_to(BUILT_IN).as_posix(): path.read_bytes() for path in BUILT_IN.rglob("*") if path.is_file()
    }
