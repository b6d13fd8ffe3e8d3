"""What DVC has recorded of the stages of a project, and where it keeps them: read as plain files, without DVC."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from cmet.inputs.files import BadFile, kept_while_unchanged, read_bytes
from cmet.inputs.texts import parse_json, yaml_loader

LOCK = "dvc.lock"

FOLDER_SUFFIX = ".dir"
"""DVC ends the hash of a folder so; what is kept under it lists the files."""

_DIGEST = re.compile(r"[0-9a-f]{32}(\.dir)?")


class RecordedOutput(NamedTuple):
    """An output of a stage, by its path in the project."""

    path: str
    digest: str
    """MD5 of a file; of a folder that of the list of its files, with `FOLDER_SUFFIX`."""


def recorded_outputs(root: Path) -> dict[str, list[RecordedOutput]]:
    """The outputs of each stage as its last run has left them; none where DVC has recorded nothing.

    Raises:
        BadFile: What is there is no lock file of DVC.
    """
    lock = root / LOCK
    return _read(lock).outputs if lock.is_file() else {}


def recorded_digests(root: Path) -> dict[str, str]:
    """What DVC calls each file and folder that stages have read or written, by path; none as `recorded_outputs`.

    Raises:
        BadFile: As `recorded_outputs`.
    """
    lock = root / LOCK
    return _read(lock).digests if lock.is_file() else {}


def listed_files(content: bytes, name: Path | str) -> dict[str, str]:
    """MD5 of the files of a folder by their path in it, from the list that DVC keeps of it; `name` is for the message.

    Raises:
        BadFile: It is no such list.
    """
    listed: Any = parse_json(content, name)
    try:
        found = {str(file["relpath"]): str(file["md5"]) for file in listed}
    except (TypeError, LookupError) as error:
        raise BadFile(f"{name}: no list of files as DVC keeps it") from error
    if not all(_DIGEST.fullmatch(digest) and _stays_inside(path) for path, digest in found.items()):
        raise BadFile(f"{name}: no list of files as DVC keeps it")
    return found


def kept_as(digest: str) -> str:
    """Where DVC keeps a file or the list of a folder, in its cache and in a remote."""
    return f"files/md5/{digest[:2]}/{digest[2:]}"


def _stays_inside(name: str) -> bool:
    return not name.startswith("/") and ".." not in name.split("/")


class _Recorded(NamedTuple):
    outputs: dict[str, list[RecordedOutput]]
    digests: dict[str, str]


@kept_while_unchanged(4)
def _read(lock: Path) -> _Recorded:
    try:
        stages = (yaml_loader(read_bytes(lock)).get_single_data() or {}).get("stages", {})
        outputs = {stage: _entries(facts.get("outs", ())) for stage, facts in stages.items()}
        entries = [
            one for facts in stages.values() for kind in ("deps", "outs") for one in _entries(facts.get(kind, ()))
        ]
        return _Recorded(outputs, {one.path: one.digest for one in entries})
    except (yaml.YAMLError, RecursionError, AttributeError, LookupError, TypeError) as error:
        raise BadFile(f"{lock}: no lock file of DVC; take it from git again, or run `dvc repro`") from error


def _entries(listed: Iterable[Any]) -> list[RecordedOutput]:
    return [RecordedOutput(one["path"], one["md5"]) for one in listed if _DIGEST.fullmatch(one.get("md5", ""))]
