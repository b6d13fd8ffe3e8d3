"""Other names for the files of a product, to see that one name is used by all who write and read it."""

import sys

import pytest


def rename(monkeypatch: pytest.MonkeyPatch, room: str, name: str) -> str:
    """Call a file or folder something else wherever a room has its name as a constant, and return the new name.

    Args:
        monkeypatch: Undoes it.
        room: `edits` for the package or module `cmet.edits`.
        name: What its product calls the file.
    """
    renamed = f"renamed-{name}"
    for module_name, module in list(sys.modules.items()):
        if module_name == f"cmet.{room}" or module_name.startswith(f"cmet.{room}."):
            for attribute, value in list(vars(module).items()):
                if isinstance(value, str) and value == name:
                    monkeypatch.setattr(module, attribute, renamed)
    return renamed
