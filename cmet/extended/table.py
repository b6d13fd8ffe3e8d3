"""The results as one table, from which page, figures and the printed lines are made."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from cmet.extended.hearing import EXTENDED, VIDEO, LeftOut
from cmet.extended.intervals import Measure
from cmet.outputs import as_utf8, fresh_file

SPEECH, FACE, FILES = "speech", "face", "files"

COSINE = "cosine/"
"""Followed by a basic emotion."""
ALIKE = "alike/"
"""Followed by another extended emotion."""
NEAREST = "nearest"
AGREEMENT = "agreement"
STRENGTH = "strength"
LENGTH = "length"
CONSISTENCY = "consistency"
OVER_SPEAKERS = "consistency_over_speakers"
POINTS_TO_OWN = "points_to_own"
CLAMPED = "clamped_share"
FACTOR = "edit_strength"
LEFT_OUT = "left_out"


@dataclass(frozen=True)
class NumberRow:
    """One number of one emotion, of one clip of it, or of one video."""

    part: str
    """`SPEECH`, `FACE`, or `FILES` for what could not be used."""
    group: str
    """Whose number it is, extended or basic; of a file that was left out, what it was given as."""
    emotion: str | None
    measure: str
    value: float | None
    n: int
    """Clips, speakers or videos behind the value."""
    low: float | None = None
    high: float | None = None
    answer: str | None = None
    """The nearest basic emotion, in rows of `NEAREST`."""
    reason: str | None = None
    """Why there is no value."""
    clip: str | None = None
    speaker: str | None = None
    video: str | None = None


def row(part: str, group: str, emotion: str | None, measure: str, found: Measure, **more: str | None) -> NumberRow:
    """A measured number as a row."""
    return NumberRow(
        part, group, emotion, measure, found.value, found.n, found.low, found.high, reason=found.reason, **more
    )


def left_out_rows(files: Iterable[LeftOut]) -> list[NumberRow]:
    """What could not be used, each with its reason."""
    return [
        NumberRow(
            FILES, one.role, one.emotion, LEFT_OUT, None, 0, reason=one.reason,
            clip=None if one.role == VIDEO else str(one.path), video=str(one.path) if one.role == VIDEO else None,
        )
        for one in files
    ]  # fmt: skip


def as_table(rows: Iterable[NumberRow], space: str) -> pd.DataFrame:
    """One row each; a value that is not there is NaN, a word that is not there None. `space` is of the speech."""
    cells = [
        {name: as_utf8(value) if isinstance(value, str) else value for name, value in asdict(one).items()}
        for one in rows
    ]
    table = pd.DataFrame(cells, columns=list(NumberRow.__dataclass_fields__))
    table.insert(0, "space", space)
    return table.astype(dict.fromkeys(("value", "low", "high"), float) | {"n": int})


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write it as Parquet."""
    with fresh_file(path) as unfinished:
        table.to_parquet(unfinished, index=False)


def of_emotions(table: pd.DataFrame, part: str, group: str) -> pd.DataFrame:
    """The numbers of whole emotions, neither of single clips nor of single videos."""
    return table[(table.part == part) & (table.group == group) & table["clip"].isna() & table["video"].isna()]


def matrix(rows: pd.DataFrame, prefix: str, column: str = "value") -> pd.DataFrame:
    """Emotions against what follows the prefix of a measure, both in the order of the rows."""
    chosen = rows[rows.measure.str.startswith(prefix)]
    if chosen.empty:
        return pd.DataFrame()
    names = chosen.measure.str.removeprefix(prefix)
    wide = chosen.assign(name=names).pivot(index="emotion", columns="name", values=column)
    return wide.loc[list(dict.fromkeys(chosen.emotion)), list(dict.fromkeys(names))]


def found(rows: pd.DataFrame, emotion: str, measure: str) -> pd.Series | None:
    """The row of one number, or None where it was not measured."""
    chosen = rows[(rows.emotion == emotion) & (rows.measure == measure)]
    return None if chosen.empty else chosen.iloc[0]


def printed_numbers(table: pd.DataFrame) -> str:
    """What a person wants to see first, as plain text."""
    lines = [
        f"  {'emotion':<16}{'clips':>6}  {'nearest basic':<22}{'clips agree':>12}{'strength':>10}{'consistency':>13}"
    ]
    rows = of_emotions(table, SPEECH, EXTENDED)
    for emotion in dict.fromkeys(rows.emotion):
        length = found(rows, emotion, LENGTH)
        nearest = found(rows, emotion, NEAREST)
        agreement = found(rows, emotion, AGREEMENT)
        named = "-" if nearest is None or nearest.answer is None else f"{nearest.answer} ({nearest.value:.2f})"
        agree = (
            "-"
            if agreement is None or pd.isna(agreement.value)
            else f"{round(agreement.value * agreement.n)}/{agreement.n}"
        )
        num_clips = 0 if length is None else length.n
        numbers = [_number(found(rows, emotion, measure)) for measure in (STRENGTH, CONSISTENCY)]
        lines.append(f"  {emotion:<16}{num_clips:>6}  {named:<22}{agree:>12}{numbers[0]:>10}{numbers[1]:>13}")
    return "\n".join(lines)


def _number(one: pd.Series | None) -> str:
    return "-" if one is None or pd.isna(one.value) else f"{one.value:.2f}"
