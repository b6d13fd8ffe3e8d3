"""What tests of studies share: a store of runs, the tiny recipe of training, and code that may be changed."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from cmet import closure
from cmet.tracking.runs import default_store
from tests.connector_shards import TINY

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def module_store(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> str:
    """A store of runs for all tests of a file."""
    folder = tmp_path_factory.mktemp("store")
    shutil.copy(empty_store, folder / "mlflow.db")
    return default_store(folder)


@pytest.fixture
def store(module_store: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The same, where runs go."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", module_store)
    # at most once a run
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "60")
    return module_store


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of a project: the default experiment with the tiny recipe."""
    root = tmp_path / "project"
    root.mkdir()
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["train"] = TINY | {"network": TINY["network"].model_dump()}
    (root / "params.yaml").write_text(yaml.safe_dump(values))
    return root


@pytest.fixture
def change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Changes a file of the package, in a copy that digests of code are taken of."""
    copy = tmp_path / "copy/cmet"
    shutil.copytree(closure.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))

    def forget() -> None:
        for known in (closure._content, closure._read, closure.closure, closure.code_digest):
            known.cache_clear()

    def change(name: str) -> None:
        assert (copy / name).is_file()
        with (copy / name).open("a", encoding="utf-8") as stream:
            stream.write("\n")
        forget()

    with monkeypatch.context() as patch:
        patch.setattr(closure, "PACKAGE", copy)
        forget()
        yield change
    forget()
