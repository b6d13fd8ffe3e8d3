"""What is committed of notebooks."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


def test_there_is_one() -> None:
    assert [path.name for path in NOTEBOOKS] == ["quickstart.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_no_output_and_no_count_is_kept(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert len(code) > 2
    assert [(cell["outputs"], cell["execution_count"]) for cell in code] == [([], None)] * len(code)


def test_the_edit_takes_ten_lines() -> None:
    cells = json.loads(NOTEBOOKS[0].read_text(encoding="utf-8"))["cells"]
    (edit,) = [cell["source"] for cell in cells if "side_by_side=work" in "".join(cell["source"])]
    assert sum(bool(line.strip()) for line in "".join(edit).splitlines()) <= 10
