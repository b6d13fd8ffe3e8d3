"""What people write: times, emotions, blends, and a table with a row for each segment.

Columns   start (needed), end, emotion, speech, strength, follow; their order is free
Times     4, 4.5, 4s, 0:04.5, 1:02:03; an empty end is the start of the next row, or the end of the video
Emotion   a word the model knows, neutral, or a blend: 0.5 happy + 0.4 surprised
Speech    in place of an emotion: a recording or a folder, from the folder of the table; or a blend: 0.5 a/ + 0.4 b.wav
Strength  a number; empty or auto for that of the whole video
Follow    yes: the face follows the recording as it goes on; empty or no: it shows what all of it sounds like
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cmet.editing.wishes.options import NamedEmotion, OneEmotion, Share
from cmet.editing.wishes.timeline import EASE_S, MAX_STRENGTH, Segment, Timeline
from cmet.errors import UserError
from cmet.inputs.files import predicate
from cmet.inputs.texts import shown
from cmet.vocabulary import EMOTIONS, EXTENDED_EMOTIONS

COLUMNS = ("start", "end", "emotion", "speech", "strength", "follow")
FOLLOW = {"": False, "no": False, "yes": True}
MAX_TIMETABLE_BYTES = 1 << 20
TIME = re.compile(r"(?:(?:(\d{1,3}):)?(\d{1,4}):)?(\d{1,6}(?:[.,]\d{1,9})?) ?s?", re.ASCII)
WEIGHT = r"[+-]?\d*\.?\d+"
WEIGHTED = re.compile(rf"(?:({WEIGHT})(?: *\* *| +))?(.+)", re.ASCII | re.DOTALL)
PLUS, SPACED_PLUS = r"\+", r"(?:^|\s)\+(?:\s|$)"
"""The latter where names of files are, in which there may be one."""


def read_timetable(path: Path, ease_s: float = EASE_S) -> Timeline:
    """The timeline of a table; its rows may come in any order.

    Raises:
        UserError: It cannot be read, or a row is wrong; the message names the row as a spreadsheet shows it.
    """
    # pandas takes long to import, and few edits have a table
    from cmet.corpora.csv_files import read_csv

    odd = predicate(path)
    if odd is not None:
        raise UserError(f"--timeline: {path} {odd}")
    if path.stat().st_size > MAX_TIMETABLE_BYTES:
        raise UserError(f"{path}: larger than {MAX_TIMETABLE_BYTES >> 20} MiB, so it is no table of segments")
    table = read_csv(path, COLUMNS[:1], lower_header=True)
    unknown = [name for name in table.columns if name not in COLUMNS]
    if unknown:
        raise UserError(f"{path}: no column is called {shown(unknown[0])!r}; known are {', '.join(COLUMNS)}")
    if table.empty:
        raise UserError(f"{path}: no row below the header; give each segment one")
    segments = []
    for number, cells in zip(table.index, table.to_dict("records"), strict=True):
        name = f"{path}, row {number}"
        try:
            segments.append(_segment({str(column): str(cell) for column, cell in cells.items()}, path.parent, name))
        except UserError as error:
            raise UserError(f"{name}: {error}") from error
    return Timeline(tuple(sorted(segments, key=lambda segment: segment.start_s)), ease_s)


def parsed_time(text: str) -> float:
    """Seconds.

    Raises:
        UserError: It is no time.
    """
    match = TIME.fullmatch(text.strip())
    if match is not None:
        hours, minutes, seconds = (float((part or "0").replace(",", ".")) for part in match.groups())
        if match[2] is None or (seconds < 60 and (match[1] is None or minutes < 60)):
            return 3600 * hours + 60 * minutes + seconds
    raise UserError(f"{shown(text)!r} is no time; write seconds, such as 4.5, or minutes and seconds, such as 0:04.5")


def parsed_words(text: str) -> tuple[Share, ...]:
    """An emotion by its name, or a blend of some: `0.5 happy + 0.4 surprised`.

    Raises:
        UserError: A name is missing, or a weight cannot be.
    """
    return _blend(text, PLUS, lambda name: "neutral" if name == "neutral" else NamedEmotion(name))


def parsed_paths(text: str, folder: Path = Path()) -> tuple[Share, ...]:
    """A recording or a folder, or a blend of some: `0.5 happy/ + 0.4 sad/`. A + in a name has no spaces around it.

    Raises:
        UserError: A name is missing, or a weight cannot be.
    """
    # a name may look like a blend
    if text.strip() and (folder / text).exists():
        return (Share((folder / text,)),)
    return _blend(text, SPACED_PLUS, lambda name: (folder / name,))


def parsed_emotions(texts: Sequence[str]) -> tuple[Share, ...]:
    """Recordings or a name, or a blend of both kinds, as a shell hands them over.

    A word of `cmet.vocabulary` is a name, and so is what neither looks like a path nor leads to anything; a folder with
    such a name is written `./happy`.

    Raises:
        UserError: A name is missing, or a weight cannot be.
    """
    if len(texts) > 1 and "+" not in texts and not re.fullmatch(WEIGHT, texts[0]):
        return (Share(tuple(map(Path, texts))),)
    return _blend(" ".join(texts), SPACED_PLUS, _name_or_path)


def _name_or_path(text: str) -> OneEmotion:
    if text == "neutral":
        return "neutral"
    is_word = text in (*EMOTIONS, *EXTENDED_EMOTIONS)
    is_path = "/" in text or os.sep in text or bool(Path(text).suffix) or Path(text).exists()
    return NamedEmotion(text) if is_word or not is_path else (Path(text),)


def _blend(text: str, plus: str, parsed: Callable[[str], OneEmotion]) -> tuple[Share, ...]:
    parts = [part.strip() for part in re.split(plus, text)]
    if not all(parts):
        raise UserError(f"{shown(text)!r}: an emotion is missing; write one, or a blend such as 0.5 happy + 0.4 sad")
    return tuple(_share(part, parsed) for part in parts)


def _share(part: str, parsed: Callable[[str], OneEmotion]) -> Share:
    match = WEIGHTED.fullmatch(part)
    assert match is not None
    return Share(parsed(match[2]), float(match[1] or 1))


def _segment(cells: Mapping[str, str], folder: Path, where: str) -> Segment:
    start, end, emotion, speech, strength, follow = (cells.get(name, "") for name in COLUMNS)
    if bool(emotion) == bool(speech):
        raise UserError(
            "both an emotion and speech; leave one empty" if emotion else "no emotion and no speech; give one of them"
        )
    if follow.lower() not in FOLLOW:
        raise UserError(f"follow is {shown(follow)!r}; write yes or no")
    blend = parsed_words(emotion) if emotion else parsed_paths(speech, folder)
    ends = parsed_time(end) if end else None
    return Segment(parsed_time(start), ends, blend, _strength(strength), where, FOLLOW[follow.lower()])


def _strength(text: str) -> float | None:
    if text in ("", "auto"):
        return None
    try:
        return float(text.replace(",", "."))
    except ValueError as error:
        raise UserError(
            f"{shown(text)!r} is no strength; write a number from 0 to {MAX_STRENGTH:g}, or auto"
        ) from error
