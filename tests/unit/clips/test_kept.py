import numpy as np
import pytest

from cmet.clips.crop import mirrored_cut, square_around
from cmet.clips.kept import KeptFrames

WIDTH, HEIGHT = 400, 300
FACE = np.array([100.0, 80.0, 180.0, 180.0])


def frames(number: int) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (number, HEIGHT, WIDTH, 3), np.uint8))


def keep(shown: list[np.ndarray], first_face: int, max_bytes: int = 1 << 30) -> KeptFrames:
    kept = KeptFrames(max_bytes)
    for index, frame in enumerate(shown):
        if index >= first_face:
            kept.aim([FACE], WIDTH, HEIGHT)
        kept.add(index, frame)
    return kept


@pytest.mark.parametrize("first_face", [0, 2])
def test_kept_parts_give_the_same_pixels_as_whole_frames(first_face: int) -> None:
    shown = frames(4)
    cut = mirrored_cut(square_around([FACE, FACE + 10]), WIDTH, HEIGHT)
    kept = keep(shown, first_face)
    kept.drop_unless_holding(cut)
    for index, frame in enumerate(shown):
        np.testing.assert_array_equal(kept.cut(index, cut, 64), cut.apply(frame, 64))


def test_a_cut_that_leaves_the_kept_part_drops_all() -> None:
    kept = keep(frames(2), 0)
    kept.drop_unless_holding(mirrored_cut(square_around([FACE, FACE + 80]), WIDTH, HEIGHT))
    assert 0 not in kept and 1 not in kept


def test_beyond_the_bytes_no_later_frame_is_kept() -> None:
    kept = keep(frames(5), 5, max_bytes=2 * HEIGHT * WIDTH * 3 + 1)
    assert [index in kept for index in range(5)] == [True, True, False, False, False]
    kept.aim([FACE], WIDTH, HEIGHT)
    kept.add(5, frames(1)[0])
    assert 5 not in kept
