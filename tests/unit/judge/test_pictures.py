"""The pictures a judge learns from."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cmet.errors import ClipError
from cmet.judge.frames import by_area
from cmet.judge.pictures import HeldFrames, StreamedClips
from cmet.media.video import write_video

GREYS = (0, 60, 120, 180, 240)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Clips of one grey each."""
    folder = tmp_path_factory.mktemp("greys")
    for grey in GREYS:
        write_video(folder / f"{grey:03}.mp4", np.full((3, 32, 32, 3), grey, np.uint8), 25)
    return sorted(folder.iterdir())


def streamed(videos: list[Path]) -> StreamedClips:
    return StreamedClips(videos, np.array(GREYS), batch_size=2, num_frames=3, size_px=32, resize=by_area)


def held(videos: list[Path]) -> HeldFrames:
    return HeldFrames(streamed(videos).clips(), np.array(GREYS), batch_size=2)


def seen(frames_NHWC: np.ndarray) -> list[int]:
    return [60 * round(float(frame.mean()) / 60) for frame in frames_NHWC]


def test_held_frames_come_one_by_one(videos: list[Path]) -> None:
    pictures = held(videos)
    assert (pictures.num_samples, pictures.num_batches) == (15, 8)
    batches = list(pictures.batches(np.random.default_rng(1)))
    assert [len(labels) for _, labels in batches] == [2] * 7 + [1]
    assert all(seen(frames) == list(labels) for frames, labels in batches)
    assert sorted(label for _, labels in batches for label in labels) == sorted(3 * GREYS)


def test_streamed_clips_come_whole(videos: list[Path]) -> None:
    pictures = streamed(videos)
    assert (pictures.num_samples, pictures.num_batches) == (5, 3)
    batches = list(pictures.batches(np.random.default_rng(1)))
    assert [frames.shape for frames, _ in batches] == [(6, 32, 32, 3), (6, 32, 32, 3), (3, 32, 32, 3)]
    assert all(seen(frames) == list(np.repeat(labels, 3)) for frames, labels in batches)
    assert sorted(label for _, labels in batches for label in labels) == list(GREYS)


@pytest.mark.parametrize("make", [held, streamed])
def test_the_order_is_new_in_every_epoch_and_the_same_for_the_same_seed(videos: list[Path], make) -> None:  # type: ignore[no-untyped-def]
    pictures = make(videos)

    def epochs() -> Iterator[list[int]]:
        order = np.random.default_rng(1)
        for _ in range(2):
            yield [int(label) for _, labels in pictures.batches(order) for label in labels]

    first, second = epochs()
    assert first != second
    assert list(epochs()) == [first, second]


@pytest.mark.parametrize("make", [held, streamed])
def test_clips_come_in_the_order_given(videos: list[Path], make) -> None:  # type: ignore[no-untyped-def]
    assert [seen(frames) for frames in make(videos).clips()] == [[grey] * 3 for grey in GREYS]


def test_a_clip_that_cannot_be_read_stops_the_epoch(videos: list[Path], tmp_path: Path) -> None:
    pictures = streamed([*videos[:-1], tmp_path / "none.mp4"])
    with pytest.raises(ClipError, match="none.mp4"):
        list(pictures.batches(np.random.default_rng(1)))
