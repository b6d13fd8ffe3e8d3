"""Which files a backbone's codes were made with: a model trained on them is of no use with others."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from cmet.backbones.saved import USED_WEIGHTS, used_weights
from cmet.errors import UserError
from cmet.inputs.files import kept_while_unchanged
from cmet.outputs import write_json
from cmet.weights.registry import find_weight


def weights_digests(names: Sequence[str], weights: Path) -> dict[str, str]:
    """SHA-256 of registered checkpoints by file name.

    Raises:
        UserError: One is missing or cannot be read.
    """
    digests = {}
    for path in (find_weight(name, weights) for name in names):
        try:
            digests[path.name] = _digest(path)
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    return digests


def save_used(folder: Path, names: Sequence[str], weights: Path) -> None:
    """Write file names and SHA-256 of registered checkpoints into a folder."""
    write_json(folder / USED_WEIGHTS, weights_digests(names, weights))


def check_used(folder: Path, names: Sequence[str], weights: Path) -> None:
    """Compare with what `save_used` has written; a folder without it says nothing.

    Raises:
        UserError: A file is another one now.
    """
    before = used_weights(folder)
    if before is None:
        return
    changed = [file for file, digest in weights_digests(names, weights).items() if before.get(file, digest) != digest]
    if changed:
        raise UserError(
            f"{folder}: made with another {' and another '.join(changed)} than {weights} holds now; put the old "
            "file back, or run `dvc repro` to make codes and model again"
        )


@kept_while_unchanged(64)
def _digest(path: Path) -> str:
    """Of a file as it is now: half a gigabyte takes most of a second, and a stage asks more than once."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
