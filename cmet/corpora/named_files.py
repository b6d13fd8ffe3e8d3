"""Files by what the cells of a table call them, whichever system wrote the table."""

import os
import unicodedata
from pathlib import Path, PureWindowsPath

from cmet.objects.inventory import stored_object


class NamedFiles:
    r"""The files that a table names, relative to one folder.

    `a\b.mp4` of a Windows spreadsheet is `a/b.mp4` where that is a file. An accented letter is one character or a
    letter and an accent (NFC, NFD; macOS writes the second): both are the same name.
    """

    def __init__(self, folder: Path) -> None:
        """Relative paths count from `folder`."""
        self.folder = folder
        self._names: dict[Path, dict[str, str]] = {}

    def path(self, cell: str) -> str:
        """The path as the disk has it; as the cell has it where there is no such file."""
        if not cell:
            return ""
        if cell.isascii() and "\\" not in cell:
            return Path(cell).as_posix()
        found = self._on_disk(cell)
        if found is None and "\\" in cell:
            found = self._on_disk(PureWindowsPath(cell).as_posix())
        return Path(cell).as_posix() if found is None else found

    def whole(self, path: str) -> str:
        """The same for `1.mp4`, `a/../1.mp4` and the whole path of one file; empty where `path` is."""
        return os.path.normpath(os.path.join(self.folder, path)) if path else ""  # noqa: PTH118 - takes half the time

    def _on_disk(self, name: str) -> str | None:
        if is_file(self.folder / name):
            return Path(name).as_posix()
        return None if name.isascii() else self._in_other_form(name)

    def _in_other_form(self, name: str) -> str | None:
        """The file whose name differs in nothing but the form of its accented letters."""
        found = Path()
        for part in Path(name).parts:
            if not os.path.lexists(self.folder / found / part):
                other = self._names_in(self.folder / found).get(unicodedata.normalize("NFC", part))
                if other is None:
                    return None
                part = other
            found /= part
        return found.as_posix() if is_file(self.folder / found) else None

    def _names_in(self, folder: Path) -> dict[str, str]:
        """What lies in a folder, by its name in NFC."""
        if folder not in self._names:
            try:
                names = sorted(os.listdir(folder))  # noqa: PTH208 - paths are not needed
            except OSError:
                names = []
            self._names[folder] = {unicodedata.normalize("NFC", name): name for name in names}
        return self._names[folder]


def is_file(path: Path) -> bool:
    """Whether there is a file; a cell that is too long for a name, or holds what no name can, is none."""
    # Path.is_file raises for a cell that is too long for a name
    return os.path.isfile(path) or stored_object(path) is not None  # noqa: PTH113
