import csv
from pathlib import Path

import pytest

from cmet.edits.benchmark import write_benchmark
from cmet.scores.manifest import read_manifest
from tests.unit.scores.test_manifest import write


@pytest.mark.parametrize(("name", "num_rows", "num_clusters"), [("mead", 1143, 56), ("cremad", 1546, 523)])
def test_a_whole_official_manifest_keeps_its_rows_and_clusters(
    tmp_path: Path, name: str, num_rows: int, num_clusters: int
) -> None:
    write_benchmark(name, tmp_path / "official.csv")
    with (tmp_path / "official.csv").open(encoding="utf-8") as stream:
        official = [row | {"generated_path": f"made/{number}.mp4"} for number, row in enumerate(csv.DictReader(stream))]
    rows = read_manifest(write(tmp_path, *official))
    assert len(rows) == num_rows == rows.row_id.nunique()
    assert rows.groupby(["speaker", "sentence"]).ngroups == num_clusters
    assert set(rows.labels_from) == {"path"}
