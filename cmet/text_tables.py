"""Tables for a terminal and for Markdown."""

import re
from collections.abc import Sequence

MARKUP = re.compile(r"[\\`*\[\]<>&|~]|(?<![^\W_])_|_(?![^\W_])")
"""What Markdown would not show as it is. An underscore inside a word stands for itself."""

ADDRESSES = re.compile(r"(?<=https:)(?=//)|(?<=http:)(?=//)|(?<=www)(?=\.)|(?=@)", re.IGNORECASE)
"""Where a reader would see an address, and make a link of it, if nothing stood between."""


def text_table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[str] = (), *, is_padded: bool = True
) -> str:
    """A table in Markdown, the columns of the headings in `numeric` to the right.

    Args:
        headings: One for each column.
        rows: Cells of the lines below them. A bar or the end of a line in one stays inside its cell.
        numeric: Headings of numbers.
        is_padded: Whether columns are aligned for those who read the text itself.
    """
    is_right = [name in numeric for name in headings]
    lines: Sequence[Sequence[str]] = [[_in_one_cell(cell) for cell in line] for line in (headings, *rows)]
    if is_padded:
        lines = padded(lines, is_right)
    widths = [len(cell) if is_padded else 1 for cell in lines[0]]
    rule = ["-" * (width + 1) + (":" if right else "-") for width, right in zip(widths, is_right, strict=True)]
    texts = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([texts[0], "|" + "|".join(rule) + "|", *texts[1:]])


def markdown_text(text: str) -> str:
    """Markdown that shows a text as it is: no markup, no tags, no links, and all in one line."""
    line = " ".join(text.split())
    return ADDRESSES.sub("&NoBreak;", MARKUP.sub(lambda found: f"&#{ord(found[0])};", line))


def _in_one_cell(text: str) -> str:
    # backslashes before a bar are doubled, or else the last of them would not be read as belonging to the bar
    return re.sub(r"(\\*)\|", r"\1\1\|", re.sub(r"[\r\n]+", " ", text))


def padded(lines: Sequence[Sequence[str]], is_right: Sequence[bool]) -> list[list[str]]:
    """Cells of lines, each as wide as the widest of its column, with the text at its left or right end."""
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    return [
        [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, is_right, strict=True)
        ]
        for line in lines
    ]
