"""How sentences about an edit name a file or a number of frames."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cmet.errors import ClipError, UserError


@contextmanager
def told_of(path: Path, option: str = "") -> Iterator[None]:
    """Turn what is wrong with a clip into a message about a file and the option it came with."""
    try:
        yield
    except ClipError as error:
        raise UserError(named(path, error.message, option)) from error


def named(path: Path, message: str, option: str = "") -> str:
    """The message, after the option if there is one, with the whole path once: some messages name their file."""
    who = f"{option} {path}".strip()
    # a word may be the same as a name without a suffix
    names = (name for name in (str(path), path.name) if path.suffix or message.startswith(f"{name} is a "))
    said = next((name for name in names if name in message), None)
    if said is None:
        return f"{who}: {message}"
    if message.startswith(said):
        return who + message.removeprefix(said)
    return f"{option}: ".removeprefix(": ") + message.replace(said, str(path), 1)


def frames_said(number: int) -> str:
    """The number with its noun."""
    return f"{number} frame{'' if number == 1 else 's'}"
