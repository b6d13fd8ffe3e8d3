"""Folders of packs for tests, from files or from values."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cmet.expression.product import array_name
from cmet.packs import pack_files, write_packs
from tests.hostile import npy


def pack_all(*folders: Path) -> None:
    """Put all files of these folders into packs."""
    for folder in folders:
        pack_files(folder, [path.name for path in folder.iterdir() if path.suffix != ".tar"], "test")


def pack_arrays(folder: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Packs of the codes or tracks of clips."""
    files = {array_name(clip_id): npy(array.astype(np.float32)) for clip_id, array in arrays.items()}
    write_packs(folder, files, files.__getitem__, "test")
