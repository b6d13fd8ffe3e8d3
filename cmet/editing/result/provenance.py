"""How an edited video was made, as the file itself says it: that its face is edited, by which model, and to what.

Nothing of it is a date or a folder: the same request gives the same bytes, and no one learns whose disk it was.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import av
from pydantic import TypeAdapter, ValidationError

from cmet.editing.built_in import BUILT_IN
from cmet.editing.editor import Editor
from cmet.editing.reports import EmotionReport
from cmet.editing.wishes.options import (
    EditOptions,
    NamedEmotion,
    OneEmotion,
    Share,
    WantedEmotion,
    emotion_said,
    shares_of,
)
from cmet.editing.wishes.timeline import Timeline
from cmet.environment import own_version
from cmet.errors import UserError
from cmet.inputs.files import BadFile, oddity
from cmet.inputs.texts import parse_json, shown
from cmet.media.files import open_media
from cmet.media.xmp import append_xmp
from cmet.outputs import as_utf8
from cmet.vocabulary import NEUTRAL

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""What IPTC calls a picture of which a trained model has made a part."""

NOTICE = "AI-edited face"
SAID_IN, KEPT_IN = "comment", "synopsis"
"""Entries of an mp4 that players show: a sentence, and all of it as JSON."""

OF_OTHERS = frozenset({"then", "strength", "is_quiet", "sign_key", "sign_certificate"})
"""Options that are told with the emotions or by the signature, or change nothing."""


@dataclass(frozen=True)
class MadeEmotion:
    """An emotion that a face was given."""

    name: str
    """Its word, or the name of the recordings, without folders."""
    strength: float
    start_s: float | None = None
    end_s: float | None = None
    """None where emotions have no times."""


@dataclass(frozen=True)
class Provenance:
    """What an edited video says of itself."""

    made_by: str
    """cmet and its version."""
    model: str
    """Its name."""
    model_sha256: str
    backbone: str
    speech_encoder: str
    emotions: tuple[MadeEmotion, ...]
    """In their order."""
    settings: Mapping[str, bool | float | str] = field(default_factory=dict)
    """Options of the edit that were set, files by their names."""
    notice: str = NOTICE
    digital_source_type: str = SOURCE_TYPE

    @classmethod
    def of(
        cls, editor: Editor, names: Sequence[str], told: Sequence[EmotionReport], options: EditOptions
    ) -> "Provenance":
        """What is to be said of an edit.

        Args:
            editor: The model.
            names: Of the emotions, as `bare_names` has them.
            told: What each of them does.
            options: Of the edit.
        """
        folder = editor.bundle.folder
        made = (
            MadeEmotion(name, round(one.strength, 4), one.start_s, one.end_s)
            for name, one in zip(names, told, strict=True)
        )
        return cls(
            made_by=f"cmet {own_version()}",
            model="built-in model" if folder == BUILT_IN else _name(folder),
            model_sha256=editor.model_sha256,
            backbone=editor.kind.name,
            speech_encoder=editor.encoder.name,
            emotions=tuple(made),
            settings=_settings(options),
        )

    @property
    def sentence(self) -> str:
        """For people."""
        emotions = ", then ".join(_said(one) for one in self.emotions)
        return (
            f"{self.notice}: {self.made_by} changed the expression of the face in this video to {emotions}, with the "
            f"model {self.model} ({self.backbone}). Digital source type: {self.digital_source_type}"
        )

    @property
    def tags(self) -> dict[str, str]:
        """Entries of the container."""
        return {SAID_IN: self.sentence, KEPT_IN: json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)}

    def put_into(self, path: Path) -> None:
        """Add to a written file what is no entry of the container."""
        append_xmp(path, self.made_by, self.digital_source_type)


_ADAPTER = TypeAdapter(Provenance)
_TEXTS = ("made_by", "model", "model_sha256", "backbone", "speech_encoder", "notice", "digital_source_type")
MAX_SHOWN = 200
"""Letters of one thing that a file says."""


def read_provenance(path: Path) -> Provenance:
    """What a video says of how it was made. Anyone can write or remove it.

    Raises:
        UserError: The file cannot be read, or says nothing of it.
    """
    odd = oddity(path)
    if odd is not None:
        raise UserError(f"{path}: {odd}; name a video that cmet has edited")
    try:
        with open_media(path) as container:
            text = container.metadata.get(KEPT_IN, "")
    except av.FFmpegError as error:
        raise UserError(f"{path}: cannot be read as a video ({error.strerror})") from error
    try:
        return _printable(_ADAPTER.validate_python(parse_json(text, path)))
    except (BadFile, ValidationError) as error:
        raise UserError(
            f"{path}: says nothing of an edit by cmet; that may have been removed, or it was never edited"
        ) from error


def _printable(said: Provenance) -> Provenance:
    """The same with texts that are short and of one line: anyone may have written them."""
    return replace(
        said,
        **{name: _line(getattr(said, name)) for name in _TEXTS},
        emotions=tuple(replace(one, name=_line(one.name)) for one in said.emotions),
        settings={
            _line(name): _line(value) if isinstance(value, str) else value for name, value in said.settings.items()
        },
    )


def _line(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in shown(text, MAX_SHOWN))


def bare_names(wanted: WantedEmotion | Timeline, options: EditOptions) -> tuple[str, ...]:
    """What the emotions of an edit are called, in their order; recordings without the folders they lie in."""
    emotions = [one.blend for one in wanted.segments] if isinstance(wanted, Timeline) else [wanted, *options.then]
    return tuple(
        emotion_said(tuple(Share(_bare(share.emotion), share.weight) for share in shares_of(emotion)))
        for emotion in emotions
    )


def _bare(emotion: OneEmotion) -> OneEmotion:
    if isinstance(emotion, NamedEmotion | str):
        return emotion
    return tuple(Path(_name(path)) for path in emotion)


def _name(path: Path) -> str:
    return as_utf8(path.name or path.absolute().name)


def _settings(options: EditOptions) -> dict[str, bool | float | str]:
    """What differs from the usual."""
    usual = EditOptions()
    found: dict[str, Any] = {
        one.name: getattr(options, one.name)
        for one in fields(options)
        if one.name not in OF_OTHERS and getattr(options, one.name) != getattr(usual, one.name)
    }
    return {name: _name(value) if isinstance(value, Path) else value for name, value in found.items()}


def _said(emotion: MadeEmotion) -> str:
    said = "no change" if emotion.name == NEUTRAL else f"{shown(emotion.name)} (strength {emotion.strength:.3g})"
    return said if emotion.start_s is None else f"{said} from {emotion.start_s:g} s"
