"""The table that every number is made of."""

from pathlib import Path

import pandas as pd
import pytest

from cmet.errors import UserError
from cmet.scores.results import RESULTS, answers, read_results, write_results
from tests.unit.scores.making import Said, results_of

SAID: Said = [("1", "happy", "happy"), ("2", "sad", None)]


def test_what_was_written_is_read_from_the_file_or_its_folder(tmp_path: Path) -> None:
    write_results(results_of(SAID), tmp_path / RESULTS)
    for place in (tmp_path, tmp_path / RESULTS):
        pd.testing.assert_frame_equal(read_results(place), results_of(SAID), check_dtype=False)


def test_a_clip_without_an_answer_is_wrong_and_says_why() -> None:
    lost = answers(results_of(SAID)).iloc[1]
    assert (lost.predicted, lost.correct, lost.reason) == (None, False, "unreadable: made so")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.iloc[:0], "no rows, so there is nothing to sum up"),
        (lambda rows: rows.drop(columns="judge"), r"not a table of results \(judge missing\)"),
        (lambda rows: pd.concat([rows, rows.iloc[:1]]), "1 value.s. appear twice, first acc_emo of pool-by-intensity"),
        (lambda rows: rows.assign(emotion="joyful"), "unknown emotion joyful; known are angry, contempt"),
        (
            lambda rows: rows.assign(protocol=["a", *rows.protocol.iloc[1:]]),
            "rows of 2 protocols are mixed: a, pool-by-intensity-00000000",
        ),
    ],
)
def test_a_table_that_no_number_may_be_made_of_is_refused(tmp_path: Path, change: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        write_results(change(results_of(SAID)), tmp_path / RESULTS)  # type: ignore[operator]
    assert not list(tmp_path.iterdir())


def test_missing_and_damaged_files_are_one_message(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no results; `cmet evaluate` or `cmet score` writes them"):
        read_results(tmp_path)
    (tmp_path / RESULTS).write_bytes(b"text")
    with pytest.raises(UserError, match="not readable as a Parquet table"):
        read_results(tmp_path)
