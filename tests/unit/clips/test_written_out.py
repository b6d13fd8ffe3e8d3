"""A prepared clip can be had as plain files."""

from pathlib import Path

import pandas as pd
import pytest

from cmet.clips.product import SOUND, VIDEO, Clips
from cmet.errors import UserError
from cmet.packs import write_packs


@pytest.fixture
def clips(tmp_path: Path) -> Clips:
    """One with picture and sound, one with a sound only, one without either."""
    rows = [("both", "ok", None), ("heard", "ok", None), ("lost", "quarantined", "silent: -80 dB")]
    pd.DataFrame(rows, columns=["clip_id", "status", "reason"]).to_parquet(tmp_path / "clips.parquet")
    write_packs(tmp_path / VIDEO, ["both.mp4"], str.encode, "test")
    write_packs(tmp_path / SOUND, ["both.wav", "heard.wav"], str.encode, "test")
    return Clips(tmp_path)


def test_what_there_is_of_a_clip_is_written(clips: Clips, tmp_path: Path) -> None:
    paths = clips.write_out("both", tmp_path / "out") + clips.write_out("heard", tmp_path / "out")
    assert {path.name: path.read_bytes().decode() for path in paths} == {
        name: name for name in ("both.mp4", "both.wav", "heard.wav")
    }


@pytest.mark.parametrize(
    ("clip_id", "why"), [("lost", r"it was quarantined \(silent: -80 dB\)"), ("new", "the table has no such clip")]
)
def test_a_clip_of_which_there_is_nothing_is_told(clips: Clips, tmp_path: Path, clip_id: str, why: str) -> None:
    with pytest.raises(UserError, match=f"clips.parquet: nothing was prepared of {clip_id}: {why}"):
        clips.write_out(clip_id, tmp_path / "out")
    assert not (tmp_path / "out").exists()
