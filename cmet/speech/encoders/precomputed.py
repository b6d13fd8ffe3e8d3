"""The emotion2vec+ large vectors that come with the C-MET release."""

from pathlib import Path

import numpy as np

from cmet.errors import ClipError
from cmet.inputs.arrays import read_array
from cmet.inputs.files import BadFile
from cmet.objects.files import on_disk
from cmet.objects.inventory import inventory_above, stored_object
from cmet.speech.encoders.encoder import finite

WIDTH = 1024

FEATURES_FOLDER = "emotion2vec+large_features"
"""Where the release keeps its vectors: beside the wav, under its stem."""

NO_FEATURES = "no_features"


def read_precomputed(raw: Path) -> np.ndarray:
    """The released emotion2vec+ large vector of a raw clip, shape (1024,), float32, bit for bit.

    Raises:
        ClipError: `no_features` or `bad_features`; `changed_object` or `missing_object` of one in an object store.
        UserError: The object store may not be read or cannot be reached.
    """
    path = raw.parent / FEATURES_FOLDER / f"{raw.stem}.npy"
    if inventory_above(path) is not None and stored_object(path) is None:
        raise ClipError(NO_FEATURES, f"{path} is not in the inventory")
    try:
        with on_disk(path) as file:
            return read_vector(file)
    except NotADirectoryError as error:
        raise ClipError(NO_FEATURES, f"{raw} lies in an archive; vectors are only read from folders") from error


def read_vector(path: Path) -> np.ndarray:
    """One vector of the release, shape (1024,), float32, bit for bit.

    Raises:
        ClipError: `no_features` or `bad_features`.
        NotADirectoryError: The path leads through a file.
    """
    try:
        path.stat()
        values = read_array(path)
    except FileNotFoundError as error:
        raise ClipError(NO_FEATURES, f"{path} does not exist") from error
    except NotADirectoryError:
        raise
    except OSError as error:
        raise ClipError(NO_FEATURES, f"{path} cannot be read ({error.strerror or error})") from error
    except BadFile as error:
        raise ClipError("bad_features" if path.is_file() else NO_FEATURES, str(error)) from error
    if values.shape != (WIDTH,) or values.dtype.kind not in "fiu":
        found = f"{values.dtype} of shape {values.shape}"
        raise ClipError("bad_features", f"{path} holds {found}, expected one vector of shape ({WIDTH},)")
    return finite(values.astype(np.float32, copy=False), path.name)
