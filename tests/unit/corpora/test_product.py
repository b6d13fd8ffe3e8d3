"""A manifest as others find it."""

from pathlib import Path

import pandas as pd

from cmet.corpora.product import Manifest


def test_quarantined_clips_are_in_the_table_and_not_usable(tmp_path: Path) -> None:
    rows = pd.DataFrame({"clip_id": ["a", "b"], "status": ["quarantined", "ok"]})
    rows.to_parquet(tmp_path / "manifest.parquet")
    manifest = Manifest(tmp_path)
    assert manifest.table["clip_id"].to_list() == ["a", "b"]
    assert manifest.usable["clip_id"].to_list() == ["b"]
