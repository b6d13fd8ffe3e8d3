"""Which files a backbone's codes were made with: a model trained on them is of no use with others."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from cmet.errors import UserError
from cmet.outputs import write_json
from cmet.weights.registry import find_weight

FILE = "weights.json"


def weights_digests(names: Sequence[str], weights: Path) -> dict[str, str]:
    """SHA-256 of registered checkpoints by file name.

    Raises:
        UserError: One is missing or cannot be read.
    """
    digests = {}
    for path in (find_weight(name, weights) for name in names):
        try:
            stat = path.stat()
            digests[path.name] = _digest(path, stat.st_size, stat.st_mtime_ns)
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    return digests


def save_used(folder: Path, names: Sequence[str], weights: Path) -> None:
    """Write file names and SHA-256 of registered checkpoints into a folder."""
    write_json(folder / FILE, weights_digests(names, weights))


def check_used(folder: Path, names: Sequence[str], weights: Path) -> None:
    """Compare with what `save_used` has written; a folder without it says nothing.

    Raises:
        UserError: A file is another one now.
    """
    if not (folder / FILE).is_file():
        return
    before = json.loads((folder / FILE).read_text(encoding="utf-8"))
    changed = [file for file, digest in weights_digests(names, weights).items() if before.get(file, digest) != digest]
    if changed:
        raise UserError(
            f"{folder}: made with another {' and another '.join(changed)} than the one in {weights}; put that one "
            "back, or run `dvc repro` to make codes and model anew"
        )


def backbone_digests(folder: Path) -> dict[str, str]:
    """SHA-256 by file name of what was fitted, or of the published files that were used.

    Args:
        folder: Where a backbone was saved.
    """
    if (folder / FILE).is_file():
        return json.loads((folder / FILE).read_text(encoding="utf-8"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def check_backbone(folder: Path, recorded: Mapping[str, str], model: Path) -> None:
    """Compare what a backbone was saved to with what a model says of the one that it was trained for.

    Args:
        folder: Where the backbone was saved.
        recorded: `backbone_digests` of the model's; nothing where it is not known.
        model: Folder of the model, for the message.

    Raises:
        UserError: A file is another one, or is missing.
    """
    found = backbone_digests(folder) if recorded and folder.is_dir() else {}
    changed = [file for file, digest in recorded.items() if found.get(file) != digest]
    if changed:
        raise UserError(
            f"{model}: this model was trained with another {' and another '.join(changed)} than {folder} has; put that "
            "one back, or train it again"
        )


@cache
def _digest(path: Path, _num_bytes: int, _modified: int) -> str:
    """Of a file as it is now: half a gigabyte takes most of a second, and a stage asks more than once."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
