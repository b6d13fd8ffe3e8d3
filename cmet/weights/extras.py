"""Packages that only some weights and corpora need, and the command that installs them."""

import importlib.util
from pathlib import Path

MODULES = {"drive": "gdown", "emotion2vec": "funasr", "s3": "s3fs"}
"""What an extra of cmet brings."""


def is_installed(extra: str) -> bool:
    """Whether what an extra brings can be imported."""
    return importlib.util.find_spec(MODULES[extra]) is not None


def install_command(extra: str) -> str:
    """How an extra is installed: beside the locked versions where `make setup` made the environment, else by pip."""
    if Path(".boot/bin/uv").is_file() and Path("requirements.lock").is_file():
        return f".boot/bin/uv pip install -c requirements.lock -e '.[{extra}]'"
    return f"pip install 'cmet[{extra}]'"
