"""Arrays of plain numbers out of .npy files."""

from io import BufferedReader, BytesIO
from math import prod
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from cmet.inputs.files import BadFile, oddity

_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_array(path: Path) -> np.ndarray:
    """The array in a file.

    Raises:
        BadFile: It is no ordinary file, cannot be read, or as `parse_array`.
    """
    odd = oddity(path)
    if odd is not None:
        raise BadFile(f"{path}: {odd}")
    try:
        with path.open("rb") as stream:
            return _read(stream, path.stat().st_size, path)
    except OSError as error:
        raise BadFile(f"{path}: cannot be read ({error.strerror or error})") from error


def parse_array(content: bytes, name: Path | str) -> np.ndarray:
    """The array in the bytes of a file; `name` stands in the message.

    Raises:
        BadFile: It is no .npy file, holds something else than numbers, or not as many as it says.
    """
    return _read(BytesIO(content), len(content), name)


def _read(stream: BufferedReader | BytesIO, num_bytes: int, name: Path | str) -> np.ndarray:
    try:
        read_header = _HEADERS[npy.read_magic(stream)]
        shape, is_fortran, dtype = read_header(stream)
    # the header is a Python literal, in which anything may stand
    except (ValueError, KeyError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise BadFile(f"{name}: is not a numpy array") from error
    if dtype.kind not in "biuf":
        raise BadFile(
            f"{name}: is an array of {'Python objects' if dtype.hasobject else dtype}, expected one of numbers"
        )
    # before there is memory for it: a header can promise anything
    held = num_bytes - stream.tell()
    promised = prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or promised != held:
        raise BadFile(f"{name}: is damaged: its header promises {promised:,} bytes of numbers, it holds {held:,}")
    values = np.empty(prod(shape), dtype)
    stream.readinto(values.view(np.uint8).data)
    return values.reshape(shape[::-1]).T if is_fortran else values.reshape(shape)
