"""What a backbone was saved with: what was fitted, or which published files were used; no checkpoint is looked for."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from cmet.errors import UserError
from cmet.inputs.files import BadFile
from cmet.inputs.texts import read_json

USED_WEIGHTS = "weights.json"


def used_weights(folder: Path) -> dict[str, str] | None:
    """SHA-256 by name of the published files that a backbone was run with; None where it was fitted.

    Args:
        folder: Where the backbone was saved.

    Raises:
        BadFile: The file holds something else.
    """
    path = folder / USED_WEIGHTS
    if not path.exists():
        return None
    digests = read_json(path)
    if not isinstance(digests, dict) or not all(isinstance(digest, str) for digest in digests.values()):
        raise BadFile(f"{path}: not the digests of files; run `dvc repro` to make codes and model again")
    return digests


def backbone_digests(folder: Path) -> dict[str, str]:
    """SHA-256 by file name of what was fitted, or of the published files that were used.

    Args:
        folder: Where a backbone was saved.
    """
    used = used_weights(folder)
    if used is not None:
        return used
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
            f"{model}: this model was trained with another {' and another '.join(changed)} than {folder} holds now; "
            "put the old file back, or train the model again"
        )
