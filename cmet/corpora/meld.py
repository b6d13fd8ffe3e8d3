"""MELD: dialogue clips of a TV series with seven emotions and no neutral twin of an emotional sentence.

Layout    train_splits/, dev_splits_complete/, output_repeated_splits_test/ with dia<D>_utt<U>.mp4, and
          {train,dev,test}_sent_emo.csv at the root
Labels    the CSV files: speaker and emotion by dialogue and utterance; no intensity
Use       a source of speech; without neutral clips of the same sentence there are no deltas
Licence   GPL-3.0 (declare-lab/MELD); the pictures belong to the makers of the series
"""

import re
from collections.abc import Hashable
from pathlib import Path

from cmet.corpora.clip import Clip, NotWanted, Parse
from cmet.corpora.csv_files import read_csv, refuse_rows, whole_number
from cmet.errors import ClipError, UserError
from cmet.objects.files import kept_on_disk

NAME = "meld"
EMOTIONS = {
    "neutral": "neutral", "joy": "happy", "sadness": "sad", "anger": "angry", "fear": "fear", "disgust": "disgusted",
    "surprise": "surprised",
}  # fmt: skip
FOLDERS = {"train_splits": "train", "dev_splits_complete": "val", "output_repeated_splits_test": "test"}
TABLES = {"train": "train_sent_emo.csv", "val": "dev_sent_emo.csv", "test": "test_sent_emo.csv"}
COLUMNS = ("Dialogue_ID", "Utterance_ID", "Speaker", "Emotion")

HINTS: dict[str, str] = {}

LEFTOVER = "final_videos_test"
KNOWN_DEFECTS = {
    "train-dia125_utt3": "the video is corrupt",
    "test-dia38_utt4": "a wrong cut, minutes long",
    "test-dia220_utt0": "a wrong cut, minutes long",
    "test-dia309_utt0": "a wrong cut, minutes long",
}
"""Source: issues 20, 39 and 52 of declare-lab/MELD."""

NEVER_PUBLISHED = frozenset({"val-dia110_utt7"})
"""Rows of the tables without a clip: issues 22 and 27."""

PATTERN = re.compile(r"dia(?P<dialogue>\d+)_utt(?P<utterance>\d+)\.\w+", re.ASCII)


def parse(path: Path, labels: dict[str, Clip]) -> Clip:
    """Find the labels of one clip by its path relative to the corpus root.

    Args:
        path: Relative to the root.
        labels: Labels of all rows of the tables by `<split>-dia<D>_utt<U>`.

    Raises:
        ClipError: `bad_name`.
        NotWanted: `no_row`: the release has some files that its tables do not know; `leftover`: of its cutting.
    """
    if path.name.startswith(LEFTOVER):
        raise NotWanted("leftover")
    match = PATTERN.fullmatch(path.name)
    split = next((FOLDERS[part] for part in reversed(path.parts[:-1]) if part in FOLDERS), None)
    if match is None or split is None:
        raise ClipError("bad_name", f"{path}: expected dia<D>_utt<U>.mp4 in one of the folders {sorted(FOLDERS)}")
    key = _key(split, int(match["dialogue"]), int(match["utterance"]))
    if key not in labels:
        raise NotWanted("no_row")
    return labels[key]


def parser(root: Path) -> Parse:
    """`parse` with the labels of the tables in a tree.

    Raises:
        UserError: A table is missing, or has a row that cannot be read.
    """
    labels = _labels(root)
    return lambda path: parse(path, labels)


def expected(root: Path) -> list[Clip]:
    """The rows of the tables."""
    return [clip for key, clip in _labels(root).items() if key not in NEVER_PUBLISHED]


def _labels(root: Path) -> dict[str, Clip]:
    return {
        key: clip for split, name in TABLES.items() for key, clip in _rows(kept_on_disk(root / name), split).items()
    }


def _rows(path: Path, split: str) -> dict[str, Clip]:
    """Labels of a table by key; a row that says the same as an earlier one counts once."""
    if not path.is_file():
        raise UserError(f"{path}: missing; MELD's labels are in {', '.join(TABLES.values())} at the root")
    table = read_csv(path, COLUMNS)
    clips: dict[str, Clip] = {}
    problems = []
    for line, row in zip(table.index, table.to_dict("records"), strict=True):
        try:
            key, clip = _clip(row, split)
        except ValueError as error:
            problems.append(f"row {line}: {error}")
            continue
        if clips.setdefault(key, clip) != clip:
            problems.append(f"row {line}: {clip.sentence} is in an earlier row with another speaker or emotion")
    refuse_rows(path, problems)
    return clips


def _clip(row: dict[Hashable, str], split: str) -> tuple[str, Clip]:
    """The key and the labels of a row.

    Raises:
        ValueError: What cannot be read.
    """
    emotion = row["Emotion"].lower()
    if emotion not in EMOTIONS:
        raise ValueError(f"emotion {row['Emotion']!r} is not one of {', '.join(EMOTIONS)}")
    if not row["Speaker"]:
        raise ValueError("no speaker")
    key = _key(split, _id(row, "Dialogue_ID"), _id(row, "Utterance_ID"))
    return key, Clip(
        clip_id=f"{NAME}-{key}",
        speaker=row["Speaker"],
        emotion=EMOTIONS[emotion],
        intensity=None,
        sentence=key.removeprefix(f"{split}-"),
        split=split,
        known_defect=KNOWN_DEFECTS.get(key),
    )


def _id(row: dict[Hashable, str], column: str) -> int:
    number = whole_number(row[column])
    if number is None:
        raise ValueError(f"{column} {row[column]!r} is not a whole number")
    return number


def _key(split: str, dialogue: int, utterance: int) -> str:
    return f"{split}-dia{dialogue}_utt{utterance}"
