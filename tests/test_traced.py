"""What stages really open, beside what `cmet.closure` says that they reach."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cmet.closure import EXEMPT, PACKAGE, closure
from cmet.stages.registry import STAGES
from tests.small_line import write_small_params

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Files of the package that each stage opens on a tiny sample corpus."""
    root = tmp_path_factory.mktemp("traced")
    params = write_small_params(root)
    command = [sys.executable, "-m", "tests.traced", params, root / "opened.json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((root / "opened.json").read_text())


def test_no_stage_opens_a_file_of_ours_that_its_closure_lacks(opened: dict[str, list[str]]) -> None:
    lacking = {}
    for step, files in opened.items():
        name, _, variant = step.partition("@")
        found = closure(STAGES[name].module, (variant,) if variant else ())
        known = {file.relative_to(PACKAGE).as_posix() for file in found.files} | {f"{module}.py" for module in EXEMPT}
        unknown = [file for file in files if file not in known and not _is_empty(PACKAGE / file)]
        if unknown:
            lacking[step] = unknown
    assert not lacking
    assert len(opened) == len(STAGES)


def test_every_stage_opens_code_of_its_own(opened: dict[str, list[str]]) -> None:
    # a trace that sees nothing would find nothing
    assert "corpora/sample/face.py" in opened["sample"]
    assert "backbones/facemesh/warp.py" in opened["edits@facemesh"]
    assert "report/templates/report.html.j2" in opened["report"]
    assert not any("edtalk" in file for files in opened.values() for file in files)


def _is_empty(path: Path) -> bool:
    """Whether a package is nothing but a docstring."""
    return path.name == "__init__.py" and path.read_text().rstrip().endswith('"""')
