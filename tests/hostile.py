"""Small files of the kind that somebody else may send."""

import io
from pathlib import Path
from typing import Any

import numpy as np

DEEP_YAML = "[" * 700
DEEP_JSON = "[" * 100_000


class Trap:
    """An object that, when it is unpickled, makes a file as a sign that code was run."""

    def __init__(self, sign: Path) -> None:
        """Name the file."""
        self.sign = sign

    def __reduce__(self) -> Any:
        """What pickle is told to call."""
        return Path.touch, (self.sign,)


def npy(values: Any) -> bytes:
    """The bytes of a .npy file, objects among the values included."""
    stream = io.BytesIO()
    np.save(stream, values, allow_pickle=True)
    return stream.getvalue()


def alias_bomb(depth: int = 9, width: int = 9) -> str:
    """YAML of a few lines whose value `last` has width to the power of depth parts."""
    lines = [f"level0: &level0 [{', '.join(['x'] * width)}]"]
    lines += [
        f"level{number}: &level{number} [{', '.join([f'*level{number - 1}'] * width)}]" for number in range(1, depth)
    ]
    return "\n".join([*lines, f"last: *level{depth - 1}", ""])
