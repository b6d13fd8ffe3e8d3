"""How a command answers: text for people, or with `--json` one JSON document and nothing else on standard output."""

import inspect
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel

AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON document; all else, progress included, goes to standard error.")
]


@dataclass(frozen=True)
class Answer:
    """What a command has to say."""

    result: object
    """For machines: a report, or plain values; tables are lists of rows."""
    text: str
    """The same for people."""
    exit_code: int = 0


def answering(command: Callable[..., Answer | None]) -> Callable[..., None]:
    """The command with an option `--json`, printing what it answers; None where there is nothing to say."""

    @wraps(command)
    def answered(*args: Any, as_json: bool = False, **kwargs: Any) -> None:
        show(lambda: command(*args, **kwargs), as_json)

    taken = inspect.signature(command)
    option = inspect.Parameter("as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=AsJson)
    # typer reads both
    answered.__signature__ = taken.replace(parameters=[*taken.parameters.values(), option])  # type: ignore[attr-defined]
    answered.__annotations__ = {**command.__annotations__, option.name: AsJson, "return": None}
    return answered


def show(work: Callable[[], Answer | None], as_json: bool) -> None:
    """Do the work and print its answer.

    Raises:
        typer.Exit: The exit code of the answer is not 0.
    """
    if as_json:
        with _stdout_to_stderr():
            answer = work()
    else:
        answer = work()
    if answer is None:
        return
    print(json.dumps(plain(answer.result), indent=2, allow_nan=False) if as_json else answer.text)
    if answer.exit_code:
        raise typer.Exit(answer.exit_code)


def plain(value: Any) -> Any:
    """A value as JSON can have it: records by field, tables by row, paths as texts, None for what is no number."""
    if isinstance(value, bool | int | str | None):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, BaseModel):
        return plain(value.model_dump())
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, Set):
        return sorted(plain(one) for one in value)
    if hasattr(value, "to_dict"):  # a table of pandas, whose gaps are of several kinds
        return plain(value.astype(object).where(value.notna(), None).to_dict("records"))
    if hasattr(value, "tolist"):  # numbers and arrays of numpy
        return plain(value.tolist())
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


@contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """A block in which everything that is printed goes to standard error, by libraries and child processes too."""
    is_program = sys.stdout is sys.__stdout__
    with redirect_stdout(sys.stderr):
        if not is_program:
            yield
            return
        kept = os.dup(1)
        try:
            os.dup2(sys.stderr.fileno(), 1)
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)
