"""The video that an edit reads from."""

from pathlib import Path

import numpy as np
import pytest

from cmet.editing.frames import source
from cmet.editing.frames.source import Source
from cmet.media.video import write_video

ORDERS = [None, [5, 4, 0], np.array([0, 2, 2, 7])]


@pytest.fixture
def video(tmp_path: Path) -> Path:
    frames = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3), np.uint8)
    write_video(tmp_path / "noise.mp4", frames, 25)
    return tmp_path / "noise.mp4"


def test_a_short_video_is_decoded_once(video: Path) -> None:
    kept = Source(video)
    shown = [np.stack(list(kept.frames(order))) for order in ORDERS]
    assert all(one is other for one, other in zip(kept.frames(), kept.frames(), strict=True))
    assert [len(frames) for frames in shown] == [8, 3, 4]
    np.testing.assert_array_equal(shown[1], shown[0][[5, 4, 0]])
    np.testing.assert_array_equal(shown[2], shown[0][[0, 2, 2, 7]])


def test_a_video_too_long_to_be_kept_gives_the_same_frames(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Source(video)
    monkeypatch.setattr(source, "KEPT_BYTES", 1000)
    long = Source(video)
    for order in ORDERS:
        again = np.stack(list(long.frames(order)))
        with monkeypatch.context() as patch:
            patch.setattr(source, "KEPT_BYTES", 1 << 20)
            np.testing.assert_array_equal(again, np.stack(list(kept.frames(order))))
    assert "_kept" not in vars(long)
