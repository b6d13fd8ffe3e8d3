import numpy as np
import pytest

from cmet.errors import ClipError
from cmet.media.crop import crop, face_square, square_around

BOX = np.array([100.0, 80.0, 180.0, 200.0])


def test_the_box_becomes_a_square_a_tenth_larger_on_each_side() -> None:
    left, top, right, bottom = square_around([BOX])
    # higher than wide: 120 * 1.2 = 144 on both sides, around the same centre
    assert (right - left, bottom - top) == pytest.approx((144, 144))
    assert ((left + right) / 2, (top + bottom) / 2) == pytest.approx((140, 140))


def test_the_square_holds_every_box_of_the_clip() -> None:
    moved = BOX + np.array([30, 0, 30, 0])
    left, top, right, bottom = square_around([BOX, moved])
    assert left < 100 and right > 210 and top < 80 and bottom > 200


@pytest.mark.parametrize(
    ("faces", "reason"),
    [([[BOX], [], [], [BOX]], "no_face: a face in 50%"), ([[BOX, BOX]] * 4, "two_faces: two faces in 100%")],
)
def test_a_clip_without_one_steady_face_is_refused(faces: list[list[np.ndarray]], reason: str) -> None:
    with pytest.raises(ClipError, match=reason):
        face_square(faces, 0.9)


def test_beyond_the_edge_the_picture_is_mirrored_and_keeps_its_aspect() -> None:
    frame = np.tile(np.arange(100, dtype=np.uint8)[None, :, None], (100, 1, 3))
    part = crop(frame, np.array([-20.0, 0.0, 80.0, 100.0]), 100)
    assert part.shape == (100, 100, 3)
    assert part[50, 20, 0] == 0
    assert part[50, 10, 0] == part[50, 30, 0] == 10
