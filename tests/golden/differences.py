"""How far our networks are from the published ones, as a Markdown table: `python -m tests.golden.differences`."""

from tests.golden.ours import FILES, Difference, differences

HEAD = ("file", "golden array", "largest magnitude", "largest difference", "relative", "allowed")


def table(rows: list[Difference]) -> str:
    """One line per golden array."""
    cells = [HEAD, ("---", "---", "--:", "--:", "--:", "--:")]
    for row in rows:
        apart = (f"{value:.1e}" if value else "0" for value in (row.difference, row.relative))
        cells.append((row.file, f"`{row.array}`", f"{row.largest:.4g}", *apart, f"{row.bound:.0e}"))
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


if __name__ == "__main__":
    print(table([difference for file in FILES for difference in differences(file)]))
