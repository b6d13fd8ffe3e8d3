"""Records: what one room writes as JSON and another reads, as frozen dataclasses on both sides."""

import json
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from cmet.errors import UserError

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
        # json and not pydantic reads the text: it takes every number that `write_json` writes
        return TypeAdapter(kind).validate_python(json.loads(path.read_text(encoding="utf-8")))
    except (json.JSONDecodeError, ValidationError) as error:
        place = "the whole file"
        if isinstance(error, ValidationError):
            place = ".".join(str(part) for part in error.errors()[0]["loc"]) or place
        raise UserError(f"{path}: not as this version writes it ({place}); run '{command}' again") from error
