"""Prepared clips as others find them."""

from pathlib import Path

import pandas as pd
import pytest

from cmet.clips.product import Clips
from cmet.packs import has_file
from tests.unit.conftest import Tiny


def test_every_clip_has_a_picture_and_a_sound(tiny: Tiny) -> None:
    for clip_id in tiny.clips.table["clip_id"]:
        assert has_file(tiny.clips.video(clip_id))
        assert has_file(tiny.clips.sound(clip_id))


def test_quarantined_clips_are_in_the_table_and_not_usable(tiny: Tiny, tmp_path: Path) -> None:
    rows = tiny.clips.table.head(3).assign(status=["ok", "quarantined", "ok"])
    clips = tiny.clips_of(rows, tmp_path / "clips")
    assert (len(clips.table), clips.usable["clip_id"].to_list()) == (3, rows["clip_id"].iloc[[0, 2]].to_list())


@pytest.mark.parametrize("missing", [None, float("nan"), ""])
def test_the_raw_sound_is_that_of_the_video_where_there_is_no_other(missing: object) -> None:
    clips = Clips(Path("data/clips"), Path("raw"))
    assert clips.raw_sound(pd.Series({"video": "a.mp4", "audio": "a.wav"})) == Path("raw/a.wav")
    assert clips.raw_sound({"video": "a.mp4", "audio": missing}) == Path("raw/a.mp4")


def test_what_decides_the_sound_is_not_what_decides_the_picture(tiny: Tiny) -> None:
    sounds, pictures = set(tiny.clips.sounds), set(tiny.clips.pictures)
    assert sounds & pictures == {tiny.clips.path}
    assert all(path.exists() for path in sounds | pictures)
