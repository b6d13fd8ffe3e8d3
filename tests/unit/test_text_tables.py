"""Tables for a terminal and for Markdown."""

import html
import re

import pytest
from markdown_it import MarkdownIt

from cmet.text_tables import markdown_text, padded, text_table

NAMES = [
    "a|b", "a\\|b", "a\\", "|", "<b>bold</b>", "<script>alert(1)</script>", "&lt;", "`code`", "``", "*a* _b_ __c__",
    "[a](http://b.c)", "![a](javascript:b)", "<http://b.c>", "acc_emo", "José #1 100% $x$", "a\\*b", "- one", "~~d~~",
]  # fmt: skip
"""What speakers, sentences and files may be called."""


def cells(markdown: str) -> list[str]:
    """The last row of a table, as HTML."""
    page = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(markdown)
    return re.findall(r"<td>(.*?)</td>", page.rpartition("<tr>")[2], re.DOTALL)


@pytest.mark.parametrize("name", NAMES)
def test_markdown_shows_any_text_as_it_is(name: str) -> None:
    shown = cells(text_table(["name", "n"], [[markdown_text(name), "1"]], is_padded=False))
    assert [html.unescape(cell).replace("\N{WORD JOINER}", "") for cell in shown] == [name, "1"]
    assert "<" not in shown[0]


@pytest.mark.parametrize("name", ["https://a.b/c", "see HTTP://a.b", "www.a.b", "a@b.de"])
def test_markdown_makes_no_link_of_what_looks_like_an_address(name: str) -> None:
    # a reader of GitHub's Markdown sees addresses after entities were resolved
    shown = html.unescape(markdown_text(name))
    assert shown != name
    assert shown.replace("\N{WORD JOINER}", "") == name


def test_the_end_of_a_line_does_not_end_a_cell() -> None:
    assert markdown_text("a\r\nb\tc\u2028d") == "a b c d"


@pytest.mark.parametrize(("name", "shown"), [("a|b", "a|b"), ("a\\|b", "a\\|b"), ("a\nb", "a b"), ("a\\\\|", "a\\\\|")])
def test_a_printed_table_keeps_its_columns_whatever_stands_in_a_cell(name: str, shown: str) -> None:
    first, second = cells(text_table(["name", "n"], [[name, "1"]]))
    assert (html.unescape(first).count("|"), second) == (shown.count("|"), "1")


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
