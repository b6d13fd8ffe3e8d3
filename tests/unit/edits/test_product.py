"""What is left of the stages `edits` and `timing`."""

from pathlib import Path

import pandas as pd
import pytest

from cmet.edits.product import Edits, MethodTiming, Timing, TimingFacts, sample_id, sample_ids
from cmet.errors import UserError
from cmet.outputs import write_json
from tests.unit.conftest import Tiny


def test_rows_come_by_method_in_the_order_of_every_table(tiny: Tiny, tmp_path: Path) -> None:
    tiny.edits.table.iloc[::-1].to_parquet(tmp_path / "edits.parquet")
    table = Edits(tmp_path).table
    assert table["method"].unique().tolist() == ["neutral", "cmet"]
    assert table.groupby("method")["row_id"].apply(lambda ids: ids.is_monotonic_increasing).all()
    pd.testing.assert_frame_equal(table, tiny.edits.table)


def test_a_video_is_found_by_what_the_table_calls_it(tiny: Tiny) -> None:
    named = tiny.edits.table["video"].dropna()
    assert len(named) == 27
    assert all(tiny.edits.video(name).is_file() for name in named)


def test_methods_that_edited_different_rows_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    pd.read_parquet(tiny.edits.folder / "edits.parquet").iloc[1:].to_parquet(tmp_path / "edits.parquet")
    with pytest.raises(
        UserError, match="every method must edit the same rows, each once, but there are cmet 13, neutral 14"
    ):
        Edits(tmp_path).table  # noqa: B018


def test_missing_edits_name_the_next_step(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run 'cmet edits'"):
        Edits(tmp_path).table  # noqa: B018
    tiny.edits.table.head(0).to_parquet(tmp_path / "edits.parquet")
    with pytest.raises(UserError, match="has no rows, so there is nothing to score"):
        Edits(tmp_path).table  # noqa: B018


def test_a_sample_is_named_by_what_it_belongs_to() -> None:
    assert (sample_id("p", "row", "cmet"), sample_id("p", None, "cmet")) == ("p.row.cmet", "p.cmet")
    rows = pd.DataFrame({"method": ["cmet"], "row_id": ["row"], "protocol": ["p"], "video": ["v"]})
    assert sample_ids(rows) == ["p.row.cmet"]


def test_timing_gives_the_seconds_of_each_method(tmp_path: Path) -> None:
    timed = MethodTiming(1.5, 0.1, {"read": 1.5}, 2, 2.0)
    facts = TimingFacts({"cmet": timed}, "cpu", "a processor", 2.0, 2, 1, "opensmile", "embedded", ["in"], ["out"])
    write_json(tmp_path / "timing.json", facts)
    timing = Timing(tmp_path)
    assert (timing.seconds, timing.methods, timing.facts) == ({"cmet": 1.5}, {"cmet": timed}, facts)
