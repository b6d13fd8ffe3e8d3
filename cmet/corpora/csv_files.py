"""CSV files of corpora as people and spreadsheets write them, read as text.

Encoding    UTF-8 with or without a byte order mark, UTF-16 (Excel's "Unicode text"), else Windows-1252
Separator   what a first line `sep=;` says (Excel's own), else comma, semicolon or tab, whichever the header has most of
Rows        numbered as a spreadsheet shows them, empty ones included: the header is row 1, and `sep=;` is no row
"""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from cmet.archives import NUM_HEAD_BYTES, about_stand_in, stand_in
from cmet.errors import UserError
from cmet.inputs.files import oddity, read_bytes

GAPS = ["nan", "NaN", "<NA>", "NA", "N/A", "#N/A", "None", "null", "NULL"]
"""What pandas, R and spreadsheets write where nothing is said."""

MAX_NAMED = 10
SEPARATORS = ",;\t"
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[;,\t]*(\r\n|\r|\n)', re.IGNORECASE)

MAX_BYTES = 1 << 30
"""Millions of rows."""


def read_csv(path: Path, needed: Sequence[str] = (), lower_header: bool = False) -> pd.DataFrame:
    """All cells as stripped text; the index is the row number in the file.

    Args:
        path: The file.
        needed: Columns that must be there; others may.
        lower_header: Whether `Video` is the column `video`.

    Raises:
        UserError: It cannot be read, is empty, lacks a needed column, or has a row with cells beyond the header.
    """
    text = _text(path)
    said = SEPARATOR_LINE.match(text)
    if said:
        text = text[said.end() :]
    delimiter = said[1] if said else _separator(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    rows: dict[int, list[str]] = {}
    number = 0
    try:
        for number, cells in enumerate(reader, start=1):
            if any(stripped := [cell.strip() for cell in cells]):
                rows[number] = stripped
    except csv.Error as error:
        raise UserError(f"{path}: row {number + 1} cannot be read ({error}); is a quote missing?") from error
    if not rows:
        raise UserError(f"{path}: the file is empty; expected a header line and a row for each clip")
    header = rows.pop(min(rows))
    if lower_header:
        header = [name.lower() for name in header]
    require_columns(path, header, needed)
    too_long = [number for number, cells in rows.items() if any(cells[len(header) :])]
    if too_long:
        more = f" ({len(too_long)} such rows)" if len(too_long) > 1 else ""
        raise UserError(
            f"{path}: row {too_long[0]} has {len(rows[too_long[0]])} cells, but the header has {len(header)}{more}; "
            "a cell with a separator in it needs quotes"
        )
    cells_by_row = [cells[: len(header)] + [""] * (len(header) - len(cells)) for cells in rows.values()]
    table = pd.DataFrame(cells_by_row, index=list(rows), columns=header, dtype="string")
    # spreadsheets write separators behind the last column
    return table.loc[:, [name != "" for name in header]]


def require_columns(path: Path, columns: Iterable[str], needed: Sequence[str]) -> None:
    """Refuse a header without a needed column, or with a name twice.

    Raises:
        UserError: The message names the columns.
    """
    names = [name for name in columns if name]
    missing = [name for name in needed if name not in names]
    if missing:
        raise UserError(
            f"{path}: no column {', '.join(missing)}; expected {', '.join(needed)}, found {', '.join(names)}"
        )
    twice = [name for name, number in Counter(names).items() if number > 1]
    if twice:
        raise UserError(f"{path}: more than one column is called {', '.join(twice)}")


def refuse_rows(path: Path, problems: Sequence[str], note: str = "") -> None:
    """Refuse a table for what is wrong in its rows, all at once; the first few are shown.

    Args:
        path: The table.
        problems: One sentence each, with the row.
        note: What to know for mending them; follows on a line of its own.

    Raises:
        UserError: There is a problem.
    """
    if problems:
        lines = [f"{path}: {len(problems)} bad value(s)", *(f"  {problem}" for problem in problems[:MAX_NAMED])]
        lines += [f"  and {len(problems) - MAX_NAMED} more"] * (len(problems) > MAX_NAMED) + [note] * bool(note)
        raise UserError("\n".join(lines))


def refuse_no_table(path: Path) -> None:
    """Refuse what cannot be a table whatever its format: no file, a git-lfs pointer or a web page.

    Raises:
        UserError: What it is, or that it cannot be read.
    """
    odd = oddity(path)
    # of an empty one more is said where it is read
    if odd is not None and not path.is_file():
        raise UserError(f"{path}: {odd}")
    try:
        with path.open("rb") as stream:
            head = stream.read(NUM_HEAD_BYTES)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    kind = stand_in(head)
    if kind not in (None, "zero_bytes"):
        raise UserError(f"{path} {about_stand_in(kind, head, path.name)}")


def whole_number(text: str) -> int | None:
    """The number that a cell says; spreadsheets and pandas write 2 as 2.0 or 2,0 where there are gaps, people as 02."""
    match = re.fullmatch(r"(\d+)([.,]0*)?", text, re.ASCII)
    return int(match[1]) if match else None


def _text(path: Path) -> str:
    refuse_no_table(path)
    content = read_bytes(path, MAX_BYTES)
    encodings = _encodings(content)
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    if b"\0" in content:
        raise UserError(f"{path}: not a CSV file; save it as CSV in UTF-8")
    raise UserError(f"{path}: the text is neither UTF-8 nor Windows-1252; save it in UTF-8")


def _encodings(content: bytes) -> tuple[str, ...]:
    """What the text may be in, the likeliest first."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return ("utf-16",)
    if b"\0" in content[:2]:
        return ("utf-16-be",) if content.startswith(b"\0") else ("utf-16-le",)
    return ("utf-8-sig", "cp1252")


def _separator(text: str) -> str:
    """Of the first line that is not empty."""
    header = next((line for line in io.StringIO(text) if line.strip(SEPARATORS + " \r\n")), "")
    return max(SEPARATORS, key=header.count)
