"""Packages that only some weights and corpora need, and the command that installs them."""

import importlib.util
from pathlib import Path

MODULES = {"c2pa": "c2pa", "drive": "gdown", "emotion2vec": "funasr", "s3": "s3fs", "studio": "gradio"}
"""What an extra of cmet brings."""


def is_installed(extra: str) -> bool:
    """Whether what an extra brings can be imported."""
    return importlib.util.find_spec(MODULES[extra]) is not None


def install_command(extra: str) -> str:
    """How an extra is installed: beside the locked versions where `make setup` made the environment, else by pip."""
    if _is_locked():
        return f".boot/bin/uv pip install -c requirements.lock -e '.[{extra}]'"
    return f"pip install 'cmet[{extra}]'"


def repair_advice(extra: str = "") -> str:
    """What mends packages that do not fit, for a sentence: the lock where there is one, else pip."""
    if _is_locked():
        return "`make setup` installs the locked versions"
    return f"`pip install --upgrade --force-reinstall '{f'cmet[{extra}]' if extra else 'cmet'}'` installs them anew"


def _is_locked() -> bool:
    """Whether the current folder is a checkout in which `make setup` made the environment."""
    return Path(".boot/bin/uv").is_file() and Path("requirements.lock").is_file()
