"""What runs in worker processes imports little: every worker pays for it once more, in memory and in time."""

import subprocess
import sys

import pytest

from tests.unit.conftest import ROOT

HEAVY = ("matplotlib", "mlflow", "pandas", "pyarrow", "torch")


@pytest.mark.parametrize(
    "module",
    ["cmet.clips.one_clip", "cmet.edits.rendering", "cmet.expression.tracking", "cmet.scores.metrics.landmarks"],
)
def test_a_worker_waits_for_no_heavy_library(module: str) -> None:
    program = f"import sys, {module}; print(sorted(set({HEAVY}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_an_edit_that_hears_nothing_waits_for_no_opensmile_and_no_tables() -> None:
    program = (
        "import sys; from cmet.editing.choice import default_editor; from cmet.editing.video import edit_video\n"
        "default_editor(is_told=True).backbone\n"
        "print(sorted({'opensmile', 'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
