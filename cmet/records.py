"""Records: what one room writes as JSON and another reads, as frozen dataclasses on both sides."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from cmet.errors import UserError
from cmet.inputs.files import BadFile
from cmet.inputs.texts import read_json

T = TypeVar("T")


def read_record(path: Path, kind: type[T], command: str) -> T:
    """A record as `write_json` wrote it.

    Args:
        path: The file.
        kind: A frozen dataclass; keys that it does not have are passed over.
        command: What writes the file anew, such as `cmet evaluate`.

    Raises:
        UserError: The file has another form, as one of another version may have; the message names the place.
    """
    try:
        # pydantic does not read the text: json takes every number that `write_json` writes
        return TypeAdapter(kind).validate_python(read_values(path, command))
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"]) or "the whole file"
        raise UserError(f"{path}: not as this version writes it ({place}); run '{command}' again") from error


def read_values(path: Path, command: str) -> Any:
    """Values as `write_json` wrote them.

    Args:
        path: The file.
        command: What writes the file anew.

    Raises:
        UserError: It is no ordinary file with JSON in which every key is given once.
    """
    try:
        return read_json(path)
    except BadFile as error:
        raise UserError(f"{error}; run '{command}' again") from error
