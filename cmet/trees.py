"""Folders that others change while they are looked at: `Path.rglob` fails on one that goes meanwhile."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def all_below(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Files, folders and links below a folder with what `lstat` says of each, from the inside out.

    What goes meanwhile is left out; links are not followed.
    """
    for parent, folders, files in os.walk(folder, topdown=False):
        for name in (*files, *folders):
            path = Path(parent, name)
            with suppress(FileNotFoundError, NotADirectoryError):
                yield path, path.lstat()
