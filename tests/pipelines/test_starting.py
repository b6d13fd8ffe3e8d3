"""How the pages are started: `make dev`, `make mlflow`, and Dagster's own `dg`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["dev"], ["--port 3000", "reports_page 4000", "REPORTS_PAGE=http://127.0.0.1:4000"]),
        (["dev", "MLFLOW_PORT=5002"], ["CMET_MLFLOW_PAGE='http://localhost:5002'"]),
        (["dev", "PORT=3001"], ["--port 3001", "reports_page 4001"]),
        (["mlflow"], ["--port 5000"]),
        (["mlflow", "PORT=5001"], ["--port 5001"]),
        (["mlflow", "MLFLOW_PORT=5002"], ["--port 5002"]),
    ],
)
def test_pages_are_where_make_is_told(words: list[str], said: list[str]) -> None:
    # `make test` says to its tests where its own pages are
    told = ("PORT", "MLFLOW_PORT", "REPORTS_PORT", "CMET_MLFLOW_PAGE", "MAKEFLAGS", "MFLAGS", "MAKELEVEL")
    environment = {name: value for name, value in os.environ.items() if name not in told}
    command = ["make", "-n", *words]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert all(part in done.stdout for part in said)


def test_dg_finds_the_definitions(tmp_path: Path) -> None:
    dg = Path(sys.executable).parent / "dg"
    shutil.copy(ROOT / "pipelines/dagster.yaml", tmp_path)
    environment = os.environ | {"DAGSTER_HOME": str(tmp_path), "VIRTUAL_ENV": str(dg.parents[1])}
    done = subprocess.run([dg, "list", "defs"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert "train_facemesh" in done.stdout
