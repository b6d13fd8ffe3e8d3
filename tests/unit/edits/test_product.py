"""What is left of the stages `edits` and `timing`."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from cmet.edits.product import TIMED, Edits, sample_id, sample_ids
from cmet.edits.product import TIMING as TIMING_FILE
from cmet.errors import UserError
from cmet.outputs import content_digest, write_json
from cmet.params import Params
from cmet.project import Project
from tests.unit.conftest import TIMING, Tiny


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


def test_seconds_are_those_of_this_machine_and_of_these_edits(tmp_path: Path, params: Params) -> None:
    project = Project.of(tmp_path, params)
    timed, out = project.places.folder("timing", "facemesh") / TIMED, project.places.measured("timing", "facemesh")
    write_json(timed, {"rows": ["1"]})
    # as in a clone that has what was timed from a remote
    with pytest.raises(UserError, match=r"^reports/timing/facemesh: not measured on this machine; run `cmet timing --"):
        project.timing("facemesh")
    facts = replace(TIMING, timed_sha256=content_digest(timed))
    write_json(out / TIMING_FILE, facts)
    timing = project.timing("facemesh")
    assert (timing.seconds, timing.facts) == ({"cmet": 0.5, "neutral": 0.5}, facts)
    write_json(timed, {"rows": ["2"]})
    with pytest.raises(UserError, match=r"measured before the model or a setting was changed; run `cmet timing --back"):
        project.timing("facemesh")
