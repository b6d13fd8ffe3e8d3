"""`versions.yaml`, the versions that outputs depend on, as `make lock` writes it from `requirements.lock`."""

import re
from pathlib import Path

from cmet.environment import LIBRARIES

LOCK = Path("requirements.lock")
VERSIONS = Path("versions.yaml")
HEADER = """\
# The locked versions of the libraries that decide numbers and bytes of outputs, by the name in imports.
# `make lock` writes this file; in dvc.yaml a stage lists among its params the libraries that its code imports.
"""


def versions_text(lock: str) -> str:
    """What `versions.yaml` holds.

    Args:
        lock: Text of a requirements file.

    Raises:
        ValueError: A library has several versions, each for some versions of Python.
    """
    lines = re.findall(r"^([a-z0-9-]+)==(\S+)", lock, re.MULTILINE)
    locked = dict(lines)
    several = [package for package in LIBRARIES.values() if [name for name, _ in lines].count(package) > 1]
    if several:
        raise ValueError(f"several versions of {', '.join(several)} in the lock; constrain them in pyproject.toml")
    # quoted: 0.10 is no number
    return HEADER + "".join(f'{name}: "{locked[package]}"\n' for name, package in LIBRARIES.items())


if __name__ == "__main__":
    VERSIONS.write_text(versions_text(LOCK.read_text(encoding="utf-8")), encoding="utf-8")
