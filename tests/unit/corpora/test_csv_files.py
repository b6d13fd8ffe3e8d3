import os
from pathlib import Path

import pytest

from cmet.corpora.csv_files import read_csv, whole_number
from cmet.errors import UserError
from tests.unit.corpora.trees import pointer


def write(folder: Path, content: bytes) -> Path:
    (folder / "x.csv").write_bytes(content)
    return folder / "x.csv"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [("a,b\né,it’s\n", encoding) for encoding in ("utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be")],
)
def test_utf_8_utf_16_and_windows_text_are_read(tmp_path: Path, text: str, encoding: str) -> None:
    assert read_csv(write(tmp_path, text.encode(encoding))).to_dict("records") == [{"a": "é", "b": "it’s"}]


@pytest.mark.parametrize("text", ['a,b\n1,"2,3"\n', "a;b\r\n1;2,3\r\n", "a\tb\n1\t2,3\n", ' a , b \n 1 , "2,3"\n'])
def test_separators_quotes_and_spaces(tmp_path: Path, text: str) -> None:
    assert read_csv(write(tmp_path, text.encode())).to_dict("records") == [{"a": "1", "b": "2,3"}]


@pytest.mark.parametrize("line", ["sep=;\r\n", "\ufeffsep=;\n", '"sep=;"\n', "SEP=;\r", "sep=;;\n", "sep=;,,\n"])
def test_a_first_line_of_excel_says_the_separator_and_is_no_row(tmp_path: Path, line: str) -> None:
    table = read_csv(write(tmp_path, (line + "a;b,c\n1;2,3\n").encode()))
    assert table.to_dict("index") == {2: {"a": "1", "b,c": "2,3"}}


def test_a_separator_of_ones_own_is_read_where_the_first_line_says_it(tmp_path: Path) -> None:
    assert read_csv(write(tmp_path, b"sep=|\na|b\n1|2\n")).to_dict("records") == [{"a": "1", "b": "2"}]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_on_any_system(tmp_path: Path, end: str) -> None:
    table = read_csv(write(tmp_path, end.join(["a,b", "1,2 ", "", '3,"x', 'y"', ""]).encode()))
    assert table.to_dict("index") == {2: {"a": "1", "b": "2"}, 4: {"a": "3", "b": f"x{end}y"}}


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("0.0", 0), ("12.00", 12), ("3,0", 3), ("01", 1), ("2.", 2), ("", None), ("-1", None), ("1.5", None)],
)
def test_a_whole_number_is_read_however_it_is_written(text: str, number: int | None) -> None:
    assert whole_number(text) == number


def test_empty_rows_are_left_out_and_count(tmp_path: Path) -> None:
    table = read_csv(write(tmp_path, b"\na,b\n1,2\n\n , \n,,,\n3\n"))
    assert table.index.to_list() == [3, 7]
    assert table.to_numpy().tolist() == [["1", "2"], ["3", ""]]


def test_columns_without_a_name_are_left_out(tmp_path: Path) -> None:
    assert read_csv(write(tmp_path, b"a,b,,\n1,2,,\n")).to_dict("records") == [{"a": "1", "b": "2"}]
    assert read_csv(write(tmp_path, b"a,b\n1,2,, ,\n")).to_dict("records") == [{"a": "1", "b": "2"}]


def test_a_header_in_upper_case_is_read_when_asked(tmp_path: Path) -> None:
    path = write(tmp_path, b"Video,SPEAKER\n1,2\n")
    assert read_csv(path, ["video", "speaker"], lower_header=True).columns.to_list() == ["video", "speaker"]
    assert read_csv(path).columns.to_list() == ["Video", "SPEAKER"]


def test_a_header_alone_is_a_table_without_rows(tmp_path: Path) -> None:
    assert read_csv(write(tmp_path, b"a,b\n")).empty


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b,c\n1,2,3\n\n1,2,3,4\n", r"x\.csv: row 4 has 4 cells, but the header has 3; a cell with a separator"),
        (b"a,b,c\n1,2,3,4\n1,2,3,4\n", r"row 2 has 4 cells, but the header has 3 \(2 such rows\)"),
        (b"", r"x\.csv: the file is empty"),
        (b"\n , \n", r"x\.csv: the file is empty"),
        (b"A,b\n", r"x\.csv: no column a, c; expected a, b, c, found A, b"),
        (b"a,b,c,b\n", r"x\.csv: more than one column is called b"),
        (b'a,b,c\n1,2,3\n1,"2,3\n', r"x\.csv: row 3 cannot be read \(unexpected end of data\); is a quote missing\?"),
        (b"PK\3\4\x14\0\x06\0\x81", r"x\.csv: not a CSV file; save it as CSV in UTF-8"),
        (bytes(100), r"x\.csv: not a CSV file; save it as CSV in UTF-8"),
        (b"<!DOCTYPE html>", r"x\.csv is a web page or an error message \(a refused download\); fetch it again"),
        (pointer("a" * 64, 7), r'x\.csv is a git-lfs pointer to 7 bytes, .* run `git lfs pull --include "x\.csv"`'),
        (b"a,b,c\n1,\x81,3\n", r"x\.csv: the text is neither UTF-8 nor Windows-1252"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_csv(write(tmp_path, content), ["a", "b", "c"])


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"x\.csv: no such file"):
        read_csv(tmp_path / "x.csv")


def test_a_pipe_is_refused_without_waiting_for_its_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.csv")
    with pytest.raises(UserError, match=r"x\.csv: is a (named pipe|folder|device), not a file"):
        read_csv(tmp_path / "x.csv")
