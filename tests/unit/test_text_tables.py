"""Tables for a terminal and for Markdown."""

from cmet.text_tables import padded, text_table


def test_columns_are_aligned_and_numbers_stand_to_the_right() -> None:
    assert text_table(["name", "n"], [["a", "1"], ["longer", "200"]], numeric=["n"]) == (
        "| name   |   n |\n|--------|----:|\n| a      |   1 |\n| longer | 200 |"
    )


def test_a_table_for_markdown_alone_has_no_padding() -> None:
    assert text_table(["name", "n"], [["longer", "200"], ["", "1"]], is_padded=False) == (
        "| name | n |\n|---|---|\n| longer | 200 |\n|  | 1 |"
    )


def test_a_table_without_rows_has_its_headings() -> None:
    assert text_table(["name"], []) == "| name |\n|------|"


def test_cells_are_as_wide_as_the_widest_of_their_column() -> None:
    assert padded([["a", "bb"], ["ccc", "d"]], [False, True]) == [["a  ", "bb"], ["ccc", " d"]]
