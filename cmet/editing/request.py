"""All that a person asks of one edit, as one value that can be kept, sent and carried out."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from cmet.editing.choice import ModelChoice
from cmet.editing.editor import Editor
from cmet.editing.messages import told_of
from cmet.editing.reports import EditReport
from cmet.editing.result.credentials import identity_of
from cmet.editing.result.side_by_side import write_side_by_side
from cmet.editing.result.writing import result_file
from cmet.editing.video import edit_video
from cmet.editing.wishes.checks import all_emotions, check_files
from cmet.editing.wishes.options import EditOptions, NamedEmotion, WantedEmotion
from cmet.editing.wishes.timeline import Timeline
from cmet.errors import UserError
from cmet.inputs.files import read_text
from cmet.inputs.texts import parse_json, shown
from cmet.outputs import write_json
from cmet.progress import Watcher, watching

FORM_KEY, FORM = "form", 1
"""A text of a later form may mean something else by the same keys."""

MAX_BYTES = 1 << 20

UNKNOWN = frozenset({"extra_forbidden", "unexpected_keyword_argument"})
MISSED = frozenset({"missing", "missing_argument"})
"""Kinds of faults, as pydantic calls them."""

SIDE_BY_SIDE = "--side-by-side"

PATHS = ("lips", "source", "sound", "sign_key", "sign_certificate")
"""Options that may name a file."""

LIPS_WORDS = frozenset({"own", "speech"})

Value = TypeVar("Value")


@dataclass(frozen=True)
class EditRequest:
    """What one edit was asked for."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    video: Path
    """The face to edit."""
    wanted: WantedEmotion | Timeline
    """The emotion or the timeline, as `edit_video` takes it."""
    out: Path
    """Target mp4."""
    neutral_speech: tuple[Path, ...] = ()
    """Calm recordings; none where emotions are told."""
    choice: ModelChoice = field(default_factory=ModelChoice)
    """Which model edits."""
    options: EditOptions = field(default_factory=EditOptions)
    """What else is wished for."""
    side_by_side: Path | None = None
    """Where a video of before and after is written; None for none."""

    @property
    def is_told(self) -> bool:
        """Whether emotions are told by their names."""
        return any(isinstance(one, NamedEmotion) for one in all_emotions(self.wanted, self.options))

    @property
    def is_heard(self) -> bool:
        """Whether recordings show an emotion."""
        return any(not isinstance(one, NamedEmotion | str) for one in all_emotions(self.wanted, self.options))

    @property
    def files(self) -> dict[str, tuple[Path, ...]]:
        """All files and folders that it reads, by what they are for."""
        emotions = all_emotions(self.wanted, self.options)
        found = {
            "video": [self.video],
            "speech": [path for one in emotions if not isinstance(one, NamedEmotion | str) for path in one],
            "neutral_speech": list(self.neutral_speech),
            **{name: [getattr(self.options, name)] for name in PATHS},
        }
        return {name: tuple(path for path in paths if isinstance(path, Path)) for name, paths in found.items()}

    def values(self) -> dict[str, Any]:
        """As JSON has it."""
        found = {FORM_KEY: FORM, **_ADAPTER.dump_python(self, mode="json")}
        # a file of that name is no word
        if isinstance(self.options.lips, Path) and str(self.options.lips) in LIPS_WORDS:
            found["options"]["lips"] = f"./{self.options.lips}"
        return found

    def save(self, path: Path) -> None:
        """Write it as JSON; whole or not at all."""
        write_json(path, self.values())

    @classmethod
    def of(cls, values: object, name: Path | str) -> "EditRequest":
        """A request from what JSON holds.

        Args:
            values: As `values` gives them.
            name: Where they come from, for the message.

        Raises:
            UserError: They are something else; the message names the key.
        """
        if not isinstance(values, dict):
            raise UserError(f"{name}: no request of an edit; expected an object with the keys video, wanted and out")
        if values.get(FORM_KEY) != FORM:
            found = shown(json.dumps(values.get(FORM_KEY)))
            raise UserError(f"{name}: {FORM_KEY} is {found}, but this version reads requests of form {FORM}")
        try:
            read = _ADAPTER.validate_python({key: one for key, one in values.items() if key != FORM_KEY})
        except ValidationError as error:
            raise UserError(f"{name}: {_fault(error)}") from error
        except UserError as error:  # times or weights that cannot be
            raise UserError(f"{name}: {error}") from error
        return _with_tuples(read)

    @classmethod
    def load(cls, path: Path) -> "EditRequest":
        """Read what `save` wrote.

        Raises:
            UserError: It is something else.
        """
        return cls.of(parse_json(read_text(path, MAX_BYTES), path), path)


_ADAPTER = TypeAdapter(EditRequest)


def perform(
    request: EditRequest,
    editor: Editor,
    on_progress: Watcher | None = None,
    warn: Callable[[str], None] | None = None,
) -> EditReport:
    """Carry out a request; nothing is left of one that fails.

    Args:
        request: The edit.
        editor: The model, as `request.choice` opens it.
        on_progress: Is told how far the work is; what it raises ends the edit.
        warn: As `edit_video` has it.

    Raises:
        UserError: As `edit_video`.
    """
    with nullcontext() if on_progress is None else watching(on_progress):
        if request.side_by_side is None:
            return _edited(request, request.out, editor, warn)
        return _with_both(request, request.side_by_side, editor, warn)


def _with_both(request: EditRequest, both: Path, editor: Editor, warn: Callable[[str], None] | None) -> EditReport:
    """Make an edit and a video of before and after: both or none."""
    for out, option in ((request.out, "--out"), (both, SIDE_BY_SIDE)):
        check_files(request.video, request.wanted, request.neutral_speech, out, request.options, option)
    if both.resolve() == request.out.resolve():
        raise UserError(f"{SIDE_BY_SIDE} is --out ({both}); name another file")
    with result_file(request.out) as edited, result_file(both, SIDE_BY_SIDE) as shown:
        report = _edited(request, edited, editor, warn)
        with told_of(request.video):
            write_side_by_side(request.video, edited, shown, request.options.is_quiet, identity_of(request.options))
    return report


def _edited(request: EditRequest, out: Path, editor: Editor, warn: Callable[[str], None] | None) -> EditReport:
    return edit_video(request.video, request.wanted, request.neutral_speech, out, editor, request.options, warn)


def _with_tuples(value: Value) -> Value:
    """The same with tuples for lists, so that equal requests are equal."""
    if isinstance(value, list | tuple):
        return tuple(map(_with_tuples, value))  # type: ignore[return-value]
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{one.name: _with_tuples(getattr(value, one.name)) for one in fields(value)})
    return value


def _fault(error: ValidationError) -> str:
    """What is wrong, with the key; one too many is the most likely slip, and the deepest lies in what is meant."""
    found = min(error.errors(), key=lambda one: (one["type"] not in UNKNOWN, -len(one["loc"])))
    *above, last = found["loc"]
    # pydantic's places have names of types between the keys
    places = [str(one) for one in above if isinstance(one, int) or (one.isidentifier() and one.islower())]
    key = shown(".".join([*places, str(last)]))
    if found["type"] in UNKNOWN:
        return f"unknown key {key}; leave it out"
    if found["type"] in MISSED:
        return f"the key {key} is missing"
    if "[" in str(last):
        key = ".".join(places)
    return f"{key}: {shown(str(found['input']))} is not what is expected here ({found['msg'].lower()})"
