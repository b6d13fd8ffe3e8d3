import json
import math
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from cmet.commands.benchmark import app
from cmet.errors import UserError
from cmet.report.paper import (
    PLAUSIBLE_ROWS,
    TITLES,
    UNCOMPARABLE,
    beside,
    official_rows,
    paper_tables,
    printed_paper_table,
    table_notes,
)
from cmet.scores.whole_numbers import fitting_numbers_of_rows, not_whole, right_rows

OURS: dict[str, Any] = {
    "corpus": "mead",
    "method": "cmet",
    "backbone": "edtalk",
    "numbering": "transcript-aligned",
    "n": 1143,
    "coverage": 1.0,
    "acc_emo": 600 / 1143,
    "interval": (0.45, 0.6),
    "protocol": "pool-by-intensity-12345678",
    "judge_sha256": "a" * 64,
    "judge_corpus": "MEAD",
    "judge_saw_test_speakers": False,
    "media": "25 fps",
    "checkpoint_sha256": "b" * 64,
    "training_steps": 200_000,
    "seed": 0,
    "comparability": "approximation",
    "synthetic": False,
    "fid": 91.0,
    "fid_kind": "pairwise-mean",
}


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    return paper_tables()


@pytest.mark.parametrize(
    ("name", "key", "rows", "right"),
    [
        ("table1-mead", "method", [1143] * 5, {"EAMM": 215, "EAT": 475, "EDTalk": 480, "FLOAT": 151, "C-MET": 639}),
        ("table1-cremad", "method", [1546] * 5, {"EAMM": 296, "EAT": 618, "EDTalk": 459, "FLOAT": 450, "C-MET": 672}),
        ("table6", "method", [1143] * 3, {"reconstruction": 565, "+ contrastive": 611, "+ direction (C-MET)": 639}),
        (
            "table8-mead",
            "emotion",
            [159, 166, 161, 159, 168, 165, 165, 1143],
            {"angry": 125, "contempt": 5, "disgusted": 116, "fear": 71, "happy": 126, "sad": 75, "surprised": 121}
            | {"all": 639},
        ),
        (
            "table8-cremad",
            "emotion",
            [309, 292, 329, 308, 308, 1546],
            {"angry": 15, "disgusted": 25, "fear": 117, "happy": 242, "sad": 273, "all": 672},
        ),
    ],
)
def test_every_percentage_is_a_whole_number_of_rows(
    tables: dict[str, pd.DataFrame], name: str, key: str, rows: list[int], right: dict[str, int]
) -> None:
    table = tables[name][tables[name][key] != "macro average"]
    assert dict(zip(table[key], table.num_right, strict=True)) == right
    assert table.num_rows.to_list() == rows
    assert not table["flags"].str.contains("not whole").any()


@pytest.mark.parametrize(("name", "macro"), [("table8-mead", 56.02), ("table8-cremad", 43.24)])
def test_the_emotions_sum_to_the_total_and_have_a_macro_average(
    tables: dict[str, pd.DataFrame], name: str, macro: float
) -> None:
    table = tables[name].set_index("emotion")
    per_emotion = table.drop(index=["all", "macro average"])
    assert per_emotion.num_right.sum() == table.num_right["all"]
    assert per_emotion.num_rows.sum() == table.num_rows["all"]
    assert round(100 * table.acc_emo["macro average"], 2) == macro
    assert f"sum to {table.num_right['all']}, as the total says" in "\n".join(table_notes(tables[name]))


def test_both_numbers_of_pdfgc_are_of_other_rows(tables: dict[str, pd.DataFrame]) -> None:
    table = tables["plug-in"].set_index("method")
    assert table.num_right["EDTalk + C-MET"] == 639
    odd = table.loc[["PD-FGC", "PD-FGC + C-MET"]]
    assert odd["flags"].to_list() == ["not whole", "not whole"]
    assert odd[["num_rows", "num_right", "low", "coverage"]].isna().all(axis=None)
    assert fitting_numbers_of_rows([33.36, 36.82], PLAUSIBLE_ROWS) == [1070, 1100, 1127, 1157]
    said = "\n".join(table_notes(tables["plug-in"]))
    assert "33.36 and 36.82 % are not whole numbers of rows out of 1143" in said
    assert "1070, 1100, 1127, 1157 rows would fit" in said
    assert "whole numbers: 2 of 4" in said


@pytest.mark.parametrize(
    ("corpus", "answer", "floor", "num_clusters"), [("mead", "happy", 14.70, 56), ("cremad", "fear", 21.28, 523)]
)
def test_the_floor_is_that_of_the_manifest(corpus: str, answer: str, floor: float, num_clusters: int) -> None:
    official = official_rows(corpus)
    assert (official.constant_answer, round(100 * official.floor, 2)) == (answer, floor)
    assert official.num_clusters == num_clusters
    assert sum(official.per_emotion.values()) == official.num_rows


def test_methods_at_the_floor_are_flagged(tables: dict[str, pd.DataFrame]) -> None:
    flagged = {name: list(tables[name].method[tables[name].is_at_floor]) for name in ("table1-mead", "table1-cremad")}
    assert flagged == {"table1-mead": ["FLOAT"], "table1-cremad": ["EAMM"]}
    assert "floor: at or below the best constant answer (fear for every row, 21.28 %)" in table_notes(
        tables["table1-cremad"]
    )


def test_every_row_states_its_labels(tables: dict[str, pd.DataFrame]) -> None:
    assert list(tables) == list(TITLES)
    for table in tables.values():
        assert set(table.numbering) == {"author-renumbered"}
        assert set(table.fid_kind) == set(table.fvd_kind) == {"pairwise-mean"}
        assert set(table.comparability) == {"paper"}
        assert not table.synthetic.any()
        labels = ["protocol", "judge_sha256", "judge_corpus", "media", "backbone", "training_steps", "seed"]
        assert table[labels].notna().all(axis=None)
    assert tables["table1-mead"].set_index("method").training_steps["C-MET"] == "200000"
    assert tables["table1-mead"].set_index("method").training_steps["EAT"] == "not stated"


def test_the_packaged_file_holds_printed_numbers_only() -> None:
    text = (files("cmet.report") / "paper_results.json").read_text(encoding="utf-8")
    assert "derived" not in text
    for computed in ("639", "672", "14.7", "21.28", "56.02", "43.24", "1070"):
        assert computed not in text
    assert json.loads(text)["table1"]["mead"]["C-MET"]["fid"] == 90.804


@pytest.mark.parametrize(
    ("percentage", "num_rows", "right"), [(33.33, 3, 1), (66.67, 3, 2), (50.0, 3, None), (0.0, 7, 0), (100.0, 7, 7)]
)
def test_a_percentage_is_whole_if_a_number_of_rows_rounds_to_it(
    percentage: float, num_rows: int, right: int | None
) -> None:
    assert right_rows(percentage, num_rows) == right
    assert not_whole([percentage], num_rows) == ([] if right is not None else [percentage])


def test_every_real_share_passes_the_check() -> None:
    for num_rows in (1143, 1546, 159):
        shares = [round(100 * right / num_rows, 2) for right in range(num_rows + 1)]
        assert not_whole(shares, num_rows) == []
        assert [right_rows(share, num_rows) for share in shares] == list(range(num_rows + 1))


def test_our_row_stands_below_the_papers_with_its_labels(tables: dict[str, pd.DataFrame]) -> None:
    both = beside(tables["table1-mead"], [OURS])
    assert both["origin"].to_list() == ["paper"] * 5 + ["ours"]
    row = both.iloc[-1]
    assert (row.num_rows, row.num_right, row.low, row.high) == (1143, 600, 0.45, 0.6)
    assert (row.comparability, row["flags"], row.remarks) == ("approximation", "", "")
    assert (row.judge_sha256, row.seed, row.fid) == ("a" * 64, 0, 91.0)
    assert "ours are clustered" in "\n".join(table_notes(both))
    text = printed_paper_table(both)
    assert "| ours   | cmet   | 1143 |   600 |    52.49  | 45.0 - 60.0 |" in text
    # the best of the paper's rows is marked, and ours is not in the race
    assert "55.91*" in text
    assert len(beside(tables["table1-mead"], [])) == 5


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("judge_sha256", None),
        ("protocol", ""),
        ("seed", math.nan),
        ("synthetic", None),
        ("comparability", "the same"),
        ("fid_kind", None),
    ],
)
def test_a_missing_label_makes_our_row_uncomparable(tables: dict[str, pd.DataFrame], label: str, value: object) -> None:
    row = beside(tables["table1-mead"], [OURS | {label: value}]).iloc[-1]
    assert row.comparability == UNCOMPARABLE
    assert UNCOMPARABLE in row["flags"]
    assert row.remarks == f"cmet: does not state {label}"
    without = {name: kept for name, kept in OURS.items() if name != label}
    assert beside(tables["table1-mead"], [without]).iloc[-1].comparability == UNCOMPARABLE


def test_a_row_that_calls_itself_uncomparable_stays_so(tables: dict[str, pd.DataFrame]) -> None:
    row = beside(tables["table1-mead"], [OURS | {"comparability": UNCOMPARABLE}]).iloc[-1]
    assert (row.comparability, row["flags"]) == (UNCOMPARABLE, UNCOMPARABLE)
    assert row.remarks == "cmet: uncomparable, as its own label says"


def test_without_full_coverage_there_is_no_headline(tables: dict[str, pd.DataFrame]) -> None:
    both = beside(tables["table1-mead"], [OURS | {"coverage": 1141 / 1143}])
    row = both.iloc[-1]
    assert np.isnan([row.acc_emo, row.low, row.high]).all()
    assert row["flags"] == "no headline"
    assert row.remarks == "cmet: no headline, as 99.83 % of 1143 planned rows have a readable clip"
    assert row.remarks in table_notes(both)
    assert "52.49" not in printed_paper_table(both)


def test_rows_that_no_judge_saw_have_no_headline(tables: dict[str, pd.DataFrame]) -> None:
    row = beside(tables["table1-mead"], [OURS | {"acc_emo": None}]).iloc[-1]
    assert "no headline, as no emotion was judged" in row.remarks


def test_other_rows_the_floor_and_stand_ins_are_flagged(tables: dict[str, pd.DataFrame]) -> None:
    ours = [OURS | {"n": 1107}, OURS | {"acc_emo": 0.1}, OURS | {"synthetic": True}]
    below = beside(tables["table1-mead"], ours).iloc[-3:]
    assert below["flags"].to_list() == ["subset", "floor", "synthetic"]
    assert below.remarks.iloc[0] == "cmet: 1107 rows, where the paper has 1143"


def test_another_kind_of_distance_has_a_column_of_its_own(tables: dict[str, pd.DataFrame]) -> None:
    both = beside(tables["table1-mead"], [OURS | {"fid_kind": "distribution"}])
    assert np.isnan(both.fid.iloc[-1])
    assert both.fid_distribution.iloc[-1] == 91.0
    assert "FID of sets" in printed_paper_table(both)


def test_rows_of_another_corpus_or_beside_emotions_are_refused(tables: dict[str, pd.DataFrame]) -> None:
    with pytest.raises(ValueError, match="rows of mead cannot stand beside the paper's of cremad"):
        beside(tables["table1-cremad"], [OURS])
    with pytest.raises(ValueError, match="cannot stand beside a table of emotions"):
        beside(tables["table8-mead"], [OURS])


def test_the_best_of_each_column_is_marked(tables: dict[str, pd.DataFrame]) -> None:
    lines = printed_paper_table(tables["table1-mead"]).splitlines()
    marked = {line.split("|")[1].strip(): line.count("*") for line in lines[2:]}
    assert marked == {"EAMM": 0, "EAT": 0, "EDTalk": 3, "FLOAT": 1, "C-MET": 1}


def test_the_command_prints_one_corpus_or_both() -> None:
    one = CliRunner().invoke(app, ["paper", "cremad"])
    assert one.exit_code == 0
    assert CliRunner().invoke(app, ["paper", "CREMAD"]).output == one.output
    assert "## Table 1, CREMA-D" in one.output
    assert "MEAD" not in one.output.replace("C-MET", "")
    both = CliRunner().invoke(app, ["paper"]).output
    assert all(f"## {title}" in both for title in TITLES.values())


def test_the_command_writes_every_label_as_csv_or_a_page_to_read(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["paper", "mead", "--out", str(tmp_path / "a.csv")]).exit_code == 0
    table = pd.read_csv(tmp_path / "a.csv")
    assert set(table.table) == {"table1-mead", "table6", "table8-mead", "plug-in"}
    row = table[(table.table == "table1-mead") & (table.method == "C-MET")].iloc[0]
    assert (row.acc_emo, row.num_right, row.comparability) == (0.5591, 639, "paper")
    page = CliRunner().invoke(app, ["paper", "mead", "--out", str(tmp_path / "a.md")]).output
    assert (tmp_path / "a.md").read_text(encoding="utf-8") == page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ravdess"], "unknown benchmark 'ravdess'; known are mead, cremad"),
        (["--out", "a.txt"], "a.txt: name a file that ends in .csv"),
    ],
)
def test_a_mistake_is_one_sentence(arguments: list[str], message: str) -> None:
    error = CliRunner().invoke(app, ["paper", *arguments]).exception
    assert isinstance(error, UserError)
    assert message in str(error)
