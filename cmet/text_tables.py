"""Tables for a terminal and for Markdown."""

from collections.abc import Sequence


def text_table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[str] = (), *, is_padded: bool = True
) -> str:
    """A table in Markdown, the columns of the headings in `numeric` to the right.

    Args:
        headings: One for each column.
        rows: Cells of the lines below them.
        numeric: Headings of numbers.
        is_padded: Whether columns are aligned for those who read the text itself.
    """
    is_right = [name in numeric for name in headings]
    lines: Sequence[Sequence[str]] = [headings, *rows]
    if is_padded:
        lines = padded(lines, is_right)
    widths = [len(cell) if is_padded else 1 for cell in lines[0]]
    rule = ["-" * (width + 1) + (":" if right else "-") for width, right in zip(widths, is_right, strict=True)]
    texts = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([texts[0], "|" + "|".join(rule) + "|", *texts[1:]])


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
