"""A user's own recordings, listed in a CSV or Parquet file.

Columns   video, speaker, emotion (needed); audio, intensity (1-3), sentence, split (train, val, test)
Paths     relative to the folder of the table
Layout    the table itself, or a folder with clips.csv or clips.parquet
Split     where the table has none, whole speakers by the order of their names: the last fifth test, one before it
          validation (from three speakers on)
"""

import re
from pathlib import Path

import pandas as pd

from cmet.corpora.listing import Clip, Found, Listing, Rejected
from cmet.errors import UserError
from cmet.params import EMOTIONS, EXTENDED_EMOTIONS

NAME = "table"
FILES = ("clips.csv", "clips.parquet")
NEEDED = ("video", "speaker", "emotion")
OPTIONAL = ("audio", "intensity", "sentence", "split")
SPLITS = ("train", "val", "test")
SYNONYMS = {
    "anger": "angry", "disgust": "disgusted", "fearful": "fear", "happiness": "happy", "joy": "happy",
    "sadness": "sad", "surprise": "surprised",
}  # fmt: skip
MAX_NAMED = 10


def find_table(root: Path) -> Path:
    """The table: `root` itself, or the one in this folder.

    Raises:
        UserError: There is none, or both.
    """
    if root.is_file():
        return root
    there = [root / name for name in FILES if (root / name).is_file()]
    if len(there) != 1:
        found = "both" if there else "none"
        raise UserError(f"{root}: expected one of {' and '.join(FILES)} in this folder, found {found}")
    return there[0]


def list_files(root: Path) -> Listing:
    """All rows of a table; one whose file does not exist is rejected.

    Raises:
        UserError: A column is missing or values are wrong; the message names each such row.
    """
    path = find_table(root)
    found, rejected = [], []
    for clip, row in zip(expected(root), _read(path).to_dict("records"), strict=True):
        gone = [file for file in (row["video"], row["audio"]) if file and not (path.parent / file).is_file()]
        if gone:
            rejected.append(Rejected(gone[0], "missing_file", f"{gone[0]} does not exist beside {path.name}"))
        else:
            found.append(Found(clip, row["video"] or None, row["audio"] or None))
    return Listing(found, rejected, {})


def expected(root: Path) -> list[Clip]:
    """One clip for each row, in the order of the table."""
    path = find_table(root)
    table = _read(path)
    problems = _problems(table)
    if problems:
        more = f" and {len(problems) - MAX_NAMED} more" if len(problems) > MAX_NAMED else ""
        raise UserError(f"{path}: {len(problems)} bad value(s)\n  " + "\n  ".join(problems[:MAX_NAMED]) + more)
    splits = _split_speakers(sorted(table.speaker.unique()))
    return [
        Clip(
            clip_id=_clip_id(row["video"] or row["audio"]),
            speaker=row["speaker"],
            emotion=_emotion(row["emotion"]),
            intensity=int(row["intensity"]) if row["intensity"] else None,
            sentence=row["sentence"],
            split=row["split"] or splits[row["speaker"]],
        )
        for row in table.to_dict("records")
    ]


def _read(path: Path) -> pd.DataFrame:
    """All cells as stripped text, columns that are not there empty."""
    try:
        if path.suffix == ".parquet":
            # whole numbers that became floats by a gap beside them are whole numbers again
            table = pd.read_parquet(path).convert_dtypes().astype("string").fillna("")
        else:
            table = pd.read_csv(path, dtype="string", keep_default_na=False, encoding="utf-8-sig")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as a table ({error})") from error
    missing = [column for column in NEEDED if column not in table]
    if missing:
        raise UserError(
            f"{path}: no column {', '.join(missing)}; needed are {', '.join(NEEDED)}, found {', '.join(table.columns)}"
        )
    if table.empty:
        raise UserError(f"{path}: the table has no rows")
    columns = {name: table[name].str.strip() if name in table else "" for name in NEEDED + OPTIONAL}
    return pd.DataFrame(columns, index=table.index).astype("string")


def _problems(table: pd.DataFrame) -> list[str]:
    """What is wrong, row by row as a text editor or spreadsheet counts them: the header is row 1."""
    known = (*EMOTIONS, *EXTENDED_EMOTIONS)
    first_row: dict[str, int] = {}
    problems = []
    for number, row in enumerate(table.to_dict("records"), start=2):
        file = row["video"] or row["audio"]
        if not file:
            problems.append(f"row {number}: neither video nor audio is given")
            continue
        if not row["speaker"]:
            problems.append(f"row {number}: no speaker for {file}")
        if _emotion(row["emotion"]) not in known:
            problems.append(f"row {number}: unknown emotion {row['emotion']!r}; known are {', '.join(known)}")
        if row["intensity"] not in ("", "1", "2", "3"):
            problems.append(f"row {number}: intensity {row['intensity']!r} is none of 1, 2, 3 and empty")
        if row["split"] not in ("", *SPLITS):
            problems.append(f"row {number}: split {row['split']!r} is none of {', '.join(SPLITS)}")
        clip_id = _clip_id(file)
        if (first := first_row.setdefault(clip_id, number)) != number:
            problems.append(f"row {number}: {file} gives the clip id {clip_id}, as row {first} does")
    return problems


def _emotion(word: str) -> str:
    return SYNONYMS.get(word.lower(), word.lower())


def _clip_id(file: str) -> str:
    """Filesystem-safe, from the path without its suffix."""
    return f"{NAME}-" + re.sub(r"[^\w-]+", "-", str(Path(file).with_suffix("")), flags=re.ASCII).strip("-")


def _split_speakers(speakers: list[str]) -> dict[str, str]:
    num_test = max(1, len(speakers) // 5) if len(speakers) > 1 else 0
    num_val = 1 if len(speakers) > 2 else 0
    num_train = len(speakers) - num_test - num_val
    names = ["train"] * num_train + ["val"] * num_val + ["test"] * num_test
    return dict(zip(speakers, names, strict=True))
