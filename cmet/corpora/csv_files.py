"""CSV files of corpora as people and spreadsheets write them, read as text.

Encoding    UTF-8 with or without a byte order mark, else Windows-1252
Separator   comma, semicolon or tab, whichever the header line has most of
Rows        numbered as a spreadsheet shows them, empty ones included: the header is row 1
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from cmet.errors import UserError

SEPARATORS = ",;\t"


def read_csv(path: Path, needed: Sequence[str] = (), lower_header: bool = False) -> pd.DataFrame:
    """All cells as stripped text; the index is the row number in the file.

    Args:
        path: The file.
        needed: Columns that must be there; others may.
        lower_header: Whether `Video` is the column `video`.

    Raises:
        UserError: It cannot be read, is empty, lacks a needed column, or has a row with more cells than the header.
    """
    text = _text(path)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text), strict=True, skipinitialspace=True)
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
    too_long = [number for number, cells in rows.items() if len(cells) > len(header)]
    if too_long:
        more = f" ({len(too_long)} such rows)" if len(too_long) > 1 else ""
        raise UserError(
            f"{path}: row {too_long[0]} has {len(rows[too_long[0]])} cells, but the header has {len(header)}{more}; "
            "a cell with a separator in it needs quotes"
        )
    cells_by_row = [cells + [""] * (len(header) - len(cells)) for cells in rows.values()]
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


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    if b"\0" in content:
        raise UserError(f"{path}: not a CSV file; save it as CSV in UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            return content.decode("cp1252")
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: the text is neither UTF-8 nor Windows-1252; save it in UTF-8") from error


def _separator(text: str) -> str:
    """Of the first line that is not empty."""
    header = next((line for line in io.StringIO(text) if line.strip(SEPARATORS + " \r\n")), "")
    return max(SEPARATORS, key=header.count)
