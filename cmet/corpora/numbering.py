"""Which sentence a number of the release stands for, where somebody has listened.

MEAD's release numbers differ from the order of its sentence list, folder by folder (one speaker, emotion and level),
and the map of C-MET's authors is not published. A file `numbering.csv` at the root of a corpus says what is known:

    speaker,emotion,intensity,number,sentence,numbering
    M003,angry,1,016,017,transcript-aligned
    M003,angry,1,020,,transcript-aligned

An empty sentence takes a clip out, because what is said in it belongs to no sentence of the list.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from cmet.corpora.clip import Clip
from cmet.corpora.csv_files import GAPS, read_csv, whole_number
from cmet.errors import ClipError, UserError

FILE = "numbering.csv"
COLUMNS = ["speaker", "emotion", "intensity", "number", "sentence", "numbering"]
RecordingKey = tuple[str, str, int | None, str]
"""Speaker, emotion, intensity and number."""

NumberingKind = Literal["release", "transcript-aligned", "author"]
"""`release`: the number in the file name; `transcript-aligned`: checked against what is said; `author`: the paper's."""


@dataclass(frozen=True)
class Settled:
    """A clip with the sentence that is said in it."""

    clip: Clip
    kind: NumberingKind


class Numbering:
    """The map of one corpus; empty where nobody supplied one."""

    def __init__(self, rows: dict[RecordingKey, "_Row"], path: Path) -> None:
        """Rows by speaker, emotion, intensity and number."""
        self.rows = rows
        self.path = path

    @classmethod
    def of(cls, root: Path) -> "Numbering":
        """Read `numbering.csv`, if there is one.

        Raises:
            UserError: A column is missing, a value is unknown, or two numbers of a folder get one sentence; the
                message names the row.
        """
        path = root / FILE
        if not path.is_file():
            return cls({}, path)
        table = read_csv(path, COLUMNS).replace(GAPS, "")
        rows: dict[RecordingKey, _Row] = {}
        taken: dict[tuple[str, str, int | None, str], int] = {}
        for line, cells in zip(table.index, table.to_dict("records"), strict=True):
            if cells["numbering"] not in get_args(NumberingKind):
                raise UserError(
                    f"{path}, row {line}: numbering {cells['numbering']!r} is not one of "
                    f"{', '.join(get_args(NumberingKind))}"
                )
            intensity = whole_number(cells["intensity"])
            if cells["intensity"] and intensity not in (1, 2, 3):
                raise UserError(f"{path}, row {line}: intensity {cells['intensity']!r} is not 1, 2, 3 or empty")
            folder = (cells["speaker"], cells["emotion"].lower(), intensity)
            sentence = _plain(cells["sentence"])
            key = (*folder, _plain(cells["number"]))
            if key in rows and (rows[key].sentence, rows[key].kind) == (sentence, cells["numbering"]):
                continue
            if sentence and (other := taken.setdefault((*folder, sentence), line)) != line:
                raise UserError(f"{path}, row {line}: {folder} already has sentence {sentence}, in row {other}")
            if key in rows:
                raise UserError(f"{path}, row {line}: {key} appears twice, first in row {rows[key].line}")
            rows[key] = _Row(sentence, cells["numbering"], line)
        return cls(rows, path)

    def settle(self, clips: Sequence[Clip]) -> list[Settled | ClipError]:
        """For each clip its sentence, or why it has none.

        A clip is `off_script` where the map says so, and `taken_sentence` where its number, of which the map says
        nothing, is what another clip of its folder is said to be.
        """
        there = {_key(clip) for clip in clips}
        claimed = {(*key[:3], row.sentence): row for key, row in self.rows.items() if key in there}
        return [self._settle(clip, claimed) for clip in clips]

    def lines_without_clip(self, clips: Iterable[Clip]) -> list[int]:
        """Rows of the file that speak of no clip that is there."""
        there = {_key(clip) for clip in clips}
        return [row.line for key, row in self.rows.items() if key not in there]

    def _settle(self, clip: Clip, claimed: dict[RecordingKey, "_Row"]) -> Settled | ClipError:
        row = self.rows.get(_key(clip))
        if row is None:
            if other := claimed.get(_key(clip)):
                message = f"{clip.clip_id}: row {other.line} of {FILE} says that another clip has this sentence"
                return ClipError("taken_sentence", message)
            return Settled(clip, "release")
        if not row.sentence:
            return ClipError("off_script", f"{FILE} gives {clip.clip_id} no sentence")
        return Settled(replace(clip, sentence=row.sentence.zfill(len(clip.sentence))), row.kind)


@dataclass(frozen=True)
class _Row:
    sentence: str
    kind: NumberingKind
    line: int


def _key(clip: Clip) -> RecordingKey:
    return clip.speaker, clip.emotion, clip.intensity, _plain(clip.sentence)


def _plain(text: str) -> str:
    """Without leading zeros, which spreadsheets drop, and without the fraction that they add."""
    number = whole_number(text)
    return text if number is None else str(number)
