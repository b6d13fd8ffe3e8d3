"""The versions that outputs depend on."""

import ast
import sys
from pathlib import Path

import pytest
import yaml

from cmet.environment import LIBRARIES
from cmet.versions import LOCK, VERSIONS, versions_text

ROOT = Path(__file__).parents[2]
NEUTRAL = {
    "aiohttp",
    "botocore",
    "c2pa",
    "cmet",
    "cryptography",
    "filelock",
    "flask",
    "fsspec",
    "funasr",
    "gdown",
    "gradio",
    "huggingface_hub",
    "mlflow",
    "packaging",
    "pydantic",
    "ray",
    "requests",
    "safetensors",
    "sqlalchemy",
    "starlette",
    "tqdm",
    "typer",
    "yaml",
}
"""Libraries that decide no number and no byte, and FunASR, which the lock does not hold."""


def imported() -> set[str]:
    """Top-level names that the library imports, also inside functions."""
    names = set()
    for file in (ROOT / "cmet").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.partition(".")[0])
    return names - sys.stdlib_module_names - {"_typeshed"}


def test_the_file_holds_what_is_locked() -> None:
    written = (ROOT / VERSIONS).read_text(encoding="utf-8")
    assert written == versions_text((ROOT / LOCK).read_text(encoding="utf-8")), "run `make lock`"
    assert yaml.safe_load(written).keys() == LIBRARIES.keys()


def test_versions_are_words_and_a_name_that_begins_alike_is_another() -> None:
    lock = "".join(f"{name}-x==9\n{name}==0.10 \\\n    --hash=sha256:0\n" for name in LIBRARIES.values())
    assert set(yaml.safe_load(versions_text(lock)).values()) == {"0.10"}


def test_a_library_with_another_version_on_another_python_is_refused() -> None:
    lock = "".join(f"{name}==1\n" for name in LIBRARIES.values()) + "numpy==2 ; python_full_version >= '3.12' \\\n"
    with pytest.raises(ValueError, match="several versions of numpy in the lock"):
        versions_text(lock)


def test_every_library_that_is_imported_decides_outputs_or_is_known_not_to() -> None:
    assert imported() - NEUTRAL == LIBRARIES.keys() - {"pyarrow"}
