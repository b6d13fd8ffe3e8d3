"""A user's own recordings, listed in a CSV or Parquet file.

Columns   video, speaker, emotion (needed); audio, intensity (1-3), sentence, split (train, val, test)
Paths     relative to the folder of the table
Gaps      an empty cell, or what pandas and R write for one: nan, NA, None and the like
Numbers   a speaker, sentence or intensity written as 3.0 is 3
Layout    the table itself, or a folder with clips.csv or clips.parquet
Split     where the table has none, whole speakers by the order of their names: the last fifth test, one before it
          validation (from three speakers on)
"""

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path, PureWindowsPath
from typing import NamedTuple

import pandas as pd

from cmet.corpora.clip import Clip
from cmet.corpora.csv_files import (
    GAPS,
    MAX_NAMED,
    read_csv,
    refuse_no_table,
    refuse_rows,
    require_columns,
    whole_number,
)
from cmet.corpora.listing import FoundClip, Listing, Rejected
from cmet.corpora.named_files import NamedFiles, is_file
from cmet.errors import ClipError, UserError
from cmet.inputs.files import oddity, predicate
from cmet.media.kinds import is_medium
from cmet.vocabulary import EMOTIONS, EXTENDED_EMOTIONS, SYNONYMS

NAME = "table"
CSV, PARQUET = ".csv", ".parquet"
FILES = (f"clips{CSV}", f"clips{PARQUET}")
NEEDED = ("video", "speaker", "emotion")
OPTIONAL = ("audio", "intensity", "sentence", "split")
SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val", "test": "test"}
KNOWN_EMOTIONS = (*EMOTIONS, *EXTENDED_EMOTIONS)
REPEATED_ROW = "repeated_row"

MAX_ID_BYTES = 180
"""File names end at 255, and clips get files with suffixes; a letter of UTF-8 takes up to four bytes."""


class TableRow(NamedTuple):
    """Cells of a clip; text, empty where nothing is said. The fields after the first are NEEDED and OPTIONAL."""

    number: int
    """As the table's program shows it: of a CSV file the header is row 1."""
    video: str
    speaker: str
    emotion: str
    audio: str
    intensity: str
    sentence: str
    split: str

    @property
    def file(self) -> str:
        """What the clip is called by."""
        return self.video or self.audio


def find_table(root: Path) -> Path:
    """The table: `root` itself, or the one in this folder.

    Raises:
        UserError: There is none, or both.
    """
    if root.is_file():
        return root
    if not root.is_dir():
        raise UserError(f"{root}: {oddity(root)}; expected a table, or a folder with {' or '.join(FILES)}")
    there = [root / name for name in FILES if (root / name).is_file()]
    if len(there) != 1:
        found = "both" if there else "none"
        raise UserError(f"{root}: expected one of {' and '.join(FILES)} in this folder, found {found}")
    return there[0]


def list_files(root: Path) -> Listing:
    """All rows of a table; one whose file cannot be a clip is rejected.

    Raises:
        UserError: A column is missing or values are wrong; the message names each such row.
    """
    path = find_table(root)
    rows, num_repeated = _read(path)
    found, rejected = [], []
    for clip, row in zip(_clips(rows), rows, strict=True):
        for file in filter(None, (row.video, row.audio)):
            try:
                _refuse_no_medium(path, file, row.number)
            except ClipError as error:
                rejected.append(Rejected(file, error.code, error.message))
                break
        else:
            found.append(FoundClip(clip, row.video or None, row.audio or None))
    return Listing(found, rejected, {REPEATED_ROW: num_repeated} if num_repeated else {})


def expected(root: Path) -> list[Clip]:
    """One clip for each row, in the order of the table.

    Raises:
        UserError: As `list_files`.
    """
    return _clips(_read(find_table(root))[0])


def named_files(root: Path) -> list[Path]:
    """The files that the rows of a table name and that are there; all that are named where none is there.

    Raises:
        UserError: As `list_files`.
    """
    path = find_table(root)
    files = [path.parent / file for row in _read(path)[0] for file in (row.video, row.audio) if file]
    # one misspelt name must not lead to a folder higher up
    return list(filter(is_file, files)) or files


def _read(path: Path) -> tuple[list[TableRow], int]:
    """All rows, checked, and how many more say the same as an earlier one; columns that are not there are empty.

    Raises:
        UserError: It cannot be read, a column is missing, or values are wrong.
    """
    table = _read_parquet(path) if path.suffix.lower() == PARQUET else read_csv(path, NEEDED, lower_header=True)
    if table.empty:
        raise UserError(f"{path}: the table has no rows")
    # object: going through the rows of a string frame takes three times as long
    table = table.reindex(columns=[*NEEDED, *OPTIONAL], fill_value="").astype(object).replace(GAPS, "")
    names = NamedFiles(path.parent)
    for column in ("video", "audio"):
        table[column] = [names.path(cell) for cell in table[column]]
    for column in ("speaker", "sentence"):
        table[column] = [_label(cell) for cell in table[column]]
    whole = {column: [names.whole(path) for path in table[column]] for column in ("video", "audio")}
    is_repeated = table.assign(**whole).duplicated()
    rows = [TableRow._make(cells) for cells in table[~is_repeated].itertuples(name=None)]
    is_any_unknown = any(_emotion(row.emotion) not in KNOWN_EMOTIONS for row in rows)
    known = f"known emotions are {', '.join(KNOWN_EMOTIONS)}" if is_any_unknown else ""
    refuse_rows(path, _problems(rows, names), known)
    return rows, int(is_repeated.sum())


def _read_parquet(path: Path) -> pd.DataFrame:
    """As `read_csv`; row 1 is the first one, since there is no header."""
    refuse_no_table(path)
    try:
        # whole numbers that became floats by a gap beside them are whole numbers again
        table = pd.read_parquet(path)
        if any(table.index.names):
            table = table.reset_index()
        table = table.convert_dtypes().astype("string").fillna("")
    except (OSError, ValueError, NotImplementedError) as error:
        raise UserError(f"{path}: cannot be read as a table ({error})") from error
    table.columns = [str(name).strip().lower() for name in table.columns]
    table.index = pd.RangeIndex(1, len(table) + 1)
    require_columns(path, table.columns, NEEDED)
    table = table.apply(lambda column: column.str.strip())
    return table[(table != "").any(axis="columns")]


def _label(cell: str) -> str:
    """The word of a speaker or a sentence, the same one however a spreadsheet or a system writes it."""
    number = re.fullmatch(r"(\d+)\.0", cell, re.ASCII)
    return number[1] if number else unicodedata.normalize("NFC", cell)


def _refuse_no_medium(path: Path, file: str, number: int) -> None:
    """Say why a file that the table at `path` names cannot be a clip.

    Raises:
        ClipError: `missing_file` or `no_medium`.
    """
    place = path.parent / file
    if not is_file(place):
        fault = f"does not exist beside {path.name}"
        if os.path.exists(place):  # noqa: PTH110 - as is_file
            fault = str(predicate(place))
        elif "\\" in file:
            fault += f", nor does {PureWindowsPath(file).as_posix()}; expected a path from there with / between folders"
        raise ClipError("missing_file", f"row {number}: {file} {fault}")
    if not is_medium(place):
        raise ClipError(
            "no_medium",
            f"row {number}: {file} is not a video or sound file, by name or first bytes",
        )


def _problems(rows: Sequence[TableRow], names: NamedFiles) -> list[str]:
    """What is wrong, row by row."""
    first_row: dict[tuple[str, str], int] = {}
    problems = []
    for row in rows:
        if not row.file:
            problems.append(f"row {row.number}: neither video nor audio is given")
            continue
        if not row.speaker:
            problems.append(f"row {row.number}: no speaker for {row.file}")
        if _emotion(row.emotion) not in KNOWN_EMOTIONS:
            hint = _nearest_emotion(row.emotion) if len(problems) < MAX_NAMED else ""
            problems.append(f"row {row.number}: unknown emotion {row.emotion!r}{hint}")
        if row.intensity and _intensity(row.intensity) is None:
            problems.append(f"row {row.number}: intensity {row.intensity!r} is not 1, 2, 3 or empty")
        if row.split and row.split.lower() not in SPLITS:
            problems.append(f"row {row.number}: split {row.split!r} is not train, val or test")
        files = names.whole(row.video), names.whole(row.audio)
        if (first := first_row.setdefault(files, row.number)) != row.number:
            problems.append(f"row {row.number}: {row.file} is already in row {first}")
    return problems


def _clips(rows: Sequence[TableRow]) -> list[Clip]:
    splits = _split_speakers(sorted({row.speaker for row in rows}))
    return [
        Clip(
            clip_id=clip_id,
            speaker=row.speaker,
            emotion=_emotion(row.emotion),
            intensity=_intensity(row.intensity),
            sentence=row.sentence,
            split=SPLITS[row.split.lower()] if row.split else splits[row.speaker],
        )
        for clip_id, row in zip(_clip_ids(rows), rows, strict=True)
    ]


def _emotion(word: str) -> str:
    return SYNONYMS.get(word.lower(), word.lower())


def _nearest_emotion(word: str) -> str:
    nearest = get_close_matches(word.lower(), [*KNOWN_EMOTIONS, *SYNONYMS], n=1)
    return f", did you mean {_emotion(nearest[0])}?" if nearest else ""


def _intensity(text: str) -> int | None:
    """1 to 3."""
    number = whole_number(text)
    return number if number in (1, 2, 3) else None


def _clip_ids(rows: Sequence[TableRow]) -> list[str]:
    """Filesystem-safe, from the path without its suffix; a hash of the paths tells two with the same name apart.

    Names that differ only in case are the same on many disks of macOS and Windows.
    """
    names = [_name(row.file) for row in rows]
    num_clips = Counter(name.casefold() for name in names)
    ids = []
    for name, row in zip(names, rows, strict=True):
        if num_clips[name.casefold()] > 1 or len(name.encode()) > MAX_ID_BYTES:
            start = name.encode()[:MAX_ID_BYTES].decode(errors="ignore")
            name = f"{start}-{hashlib.sha256(f'{row.video}|{row.audio}'.encode()).hexdigest()[:10]}"
        ids.append(f"{NAME}-{name}")
    return ids


def _name(file: str) -> str:
    stem = os.path.splitext(file)[0]  # noqa: PTH122 - a Path for each of many rows takes seconds
    return re.sub(r"[^\w-]+", "-", unicodedata.normalize("NFC", stem)).strip("-")


def _split_speakers(speakers: list[str]) -> dict[str, str]:
    num_test = max(1, len(speakers) // 5) if len(speakers) > 1 else 0
    num_val = 1 if len(speakers) > 2 else 0
    num_train = len(speakers) - num_test - num_val
    names = ["train"] * num_train + ["val"] * num_val + ["test"] * num_test
    return dict(zip(speakers, names, strict=True))
