"""Tables for a terminal that are Markdown, too."""

from collections.abc import Sequence


def text_table(headings: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[str] = ()) -> str:
    """Cells in aligned columns, those of the headings in `numeric` to the right."""
    lines = [list(headings), *(list(row) for row in rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    is_right = [name in numeric for name in headings]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(cells, widths, is_right, strict=True)
        )
        return "| " + " | ".join(padded) + " |"

    rule = ["-" * (width + 1) + (":" if right else "-") for width, right in zip(widths, is_right, strict=True)]
    return "\n".join([line(lines[0]), "|" + "|".join(rule) + "|", *(line(cells) for cells in lines[1:])])
