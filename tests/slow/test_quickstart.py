"""The notebook, run from its first line to its last."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import ROOT

NOTEBOOK = ROOT / "examples/quickstart.ipynb"


@pytest.mark.slow
def test_the_notebook_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("TMPDIR", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    said = "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")
    assert "change of expression 1.00" in said
    assert "angry: from 0.0 s" in said and "0.5 happy + 0.5 surprised: from 0.8 s" in said
    assert "AI-edited face: cmet" in said
    assert said.endswith("True\n")
    shown = [output.data["text/html"] for output in outputs if output.output_type == "execute_result"]
    assert len(shown) == 2 and all('src="data:video/mp4;base64,' in html for html in shown)
