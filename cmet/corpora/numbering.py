"""Which sentence a number of the release stands for, where somebody has listened.

MEAD's release numbers differ from the order of its sentence list, folder by folder (one speaker, emotion and level),
and the map of C-MET's authors is not published. A file `numbering.csv` at the root of a corpus says what is known:

    speaker,emotion,intensity,number,sentence,numbering
    M003,angry,1,016,017,transcript-aligned
    M003,angry,1,020,,transcript-aligned

An empty sentence takes a clip out, because what is said in it belongs to no sentence of the list.
"""

from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

import pandas as pd

from cmet.corpora.listing import Clip
from cmet.errors import ClipError, UserError

FILE = "numbering.csv"
COLUMNS = ["speaker", "emotion", "intensity", "number", "sentence", "numbering"]
Kind = Literal["release", "transcript-aligned", "author"]
"""`release`: the number in the file name; `transcript-aligned`: checked against what is said; `author`: the paper's."""


class Numbering:
    """The map of one corpus; empty where nobody supplied one."""

    def __init__(self, sentences: dict[tuple[str, str, int | None, str], tuple[str, Kind]], path: Path) -> None:
        """Sentence and kind by (speaker, emotion, intensity, number)."""
        self.sentences = sentences
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
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
        missing = [column for column in COLUMNS if column not in table]
        if missing:
            raise UserError(f"{path}: no column {', '.join(missing)}; expected {','.join(COLUMNS)}")
        sentences: dict[tuple[str, str, int | None, str], tuple[str, Kind]] = {}
        taken: dict[tuple[str, str, str, str], int] = {}
        for line, row in enumerate(table.to_dict("records"), start=2):
            if row["numbering"] not in get_args(Kind):
                raise UserError(f"{path}, line {line}: numbering {row['numbering']!r} is none of {get_args(Kind)}")
            if row["intensity"] not in ("", "1", "2", "3"):
                raise UserError(f"{path}, line {line}: intensity {row['intensity']!r} is none of 1, 2, 3 and empty")
            intensity = int(row["intensity"]) if row["intensity"] else None
            folder = (row["speaker"], row["emotion"], row["intensity"])
            if row["sentence"] and (other := taken.setdefault((*folder, row["sentence"]), line)) != line:
                raise UserError(f"{path}, line {line}: {folder} has sentence {row['sentence']} in line {other} already")
            key = (row["speaker"], row["emotion"], intensity, row["number"])
            if key in sentences:
                raise UserError(f"{path}, line {line}: {key} comes twice")
            sentences[key] = (row["sentence"], row["numbering"])
        return cls(sentences, path)

    def apply(self, clip: Clip) -> tuple[Clip, Kind]:
        """The clip with the sentence that is said in it, and how that is known.

        Raises:
            ClipError: `off_script`.
        """
        key = (clip.speaker, clip.emotion, clip.intensity, clip.sentence)
        if key not in self.sentences:
            return clip, "release"
        sentence, kind = self.sentences[key]
        if not sentence:
            raise ClipError("off_script", f"{clip.clip_id} belongs to no sentence, says {self.path.name}")
        return replace(clip, sentence=sentence), kind
