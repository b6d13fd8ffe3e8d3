import numpy as np
import pytest

from cmet.clips.crop import CROP_RULES
from cmet.editing.frames import framing
from cmet.editing.frames.framing import FaceSquare, Patch, faded, find_square, looks, pasted, presence
from cmet.errors import ClipError
from tests.properties import given
from tests.properties import strategies as st

RULE = "fomm-reflect-1"
WHOLE = (0.0, 0.0, 1.0, 1.0)
WHITE = np.full((64, 64, 3), 255, np.uint8)


def square_at(left: int, top: int, side: int, width: int, height: int, rule: str = RULE) -> FaceSquare:
    box = np.array([left, top, left + side, top + side], float)
    return FaceSquare(CROP_RULES[rule](box, width, height), 1.0, np.ones(1, bool))


@given(st.integers(-60, 150), st.integers(-60, 110), st.integers(2, 120))
def test_pixels_outside_of_the_square_are_untouched_wherever_it_lies(left: int, top: int, side: int) -> None:
    frame = np.random.default_rng(0).integers(0, 200, (100, 140, 3), np.uint8)
    before = frame.copy()
    after = Patch(left, top, left + side, top + side).onto(frame, WHITE, 1.0)
    np.testing.assert_array_equal(frame, before)
    rows, columns = np.mgrid[:100, :140]
    is_outside = (columns < left) | (columns >= left + side) | (rows < top) | (rows >= top + side)
    np.testing.assert_array_equal(after[is_outside], frame[is_outside])


def test_the_seam_rises_from_the_edge_and_the_middle_is_the_picture() -> None:
    after = Patch(20, 10, 120, 90).onto(np.zeros((100, 140, 3), np.uint8), WHITE, 1.0)
    row, column = after[50, 20:120, 0].astype(int), after[10:90, 70, 0].astype(int)
    for line in (row, column):
        half = len(line) // 2
        assert (np.diff(line[:half]) >= 0).all() and (np.diff(line[half:]) <= 0).all()
        np.testing.assert_array_equal(line, line[::-1])
        assert 0 < line[0] < 30 and line[half] == 255
        assert np.abs(np.diff(line)).max() < 80
    assert (after[30:70, 40:100] == 255).all()


def test_a_square_over_the_edge_of_the_frame_is_pasted_where_it_was_cut() -> None:
    random = np.random.default_rng(1)
    frame = np.repeat(np.repeat(random.integers(0, 255, (25, 35, 3), np.uint8), 4, 0), 4, 1)
    square = square_at(-30, 40, 80, 140, 100)
    picture = square.picture(frame, 80)
    (after,) = pasted([frame], [picture], square.presence_T, square.patch(WHOLE))
    # what was cut out, unchanged, is the frame again
    np.testing.assert_array_equal(after, frame)
    assert (Patch(-30, 40, 50, 120).onto(frame, WHITE, 1.0)[60:, :30] == 255).all()


def test_a_square_clipped_at_the_edge_is_pasted_where_it_was_cut() -> None:
    square = square_at(-30, 40, 80, 140, 100, "fomm-clip-1")
    # 50 of 80 columns and 60 of 80 rows are in the frame
    assert square.patch(WHOLE) == Patch(0, 40, 50, 100)
    assert square.patch((0.5, 0.0, 1.0, 0.5)) == Patch(25, 40, 50, 70)
    frame = np.full((100, 140, 3), 90, np.uint8)
    (after,) = pasted([frame], [square.picture(frame, 80)], square.presence_T, square.patch(WHOLE))
    np.testing.assert_array_equal(after, frame)
    (white,) = pasted([frame], [WHITE], square.presence_T, square.patch(WHOLE))
    assert (white[70, 25] == 255).all() and (white[70, 51:] == 90).all() and (white[:40] == 90).all()


def test_a_picture_goes_to_the_part_that_the_backbone_shows() -> None:
    view = (0.25, 0.0, 0.75, 0.5)
    random = np.random.default_rng(2)
    frame = random.integers(0, 255, (100, 140, 3), np.uint8)
    square = square_at(20, 10, 80, 140, 100)
    assert square.patch(view) == Patch(40, 10, 80, 50)
    shown = square.picture(frame, 80)[0:40, 20:60]
    np.testing.assert_array_equal(square.patch(view).onto(frame, shown, 1.0), frame)
    np.testing.assert_array_equal(square.part(view).apply(frame, 40), shown)


def test_where_the_face_is_lost_frames_keep_their_pixels_and_crops_show_the_original() -> None:
    frame = np.full((100, 140, 3), 100, np.uint8)
    weights = np.array([1.0, 0.5, 0.0], np.float32)
    square = square_at(20, 10, 80, 140, 100)
    after = list(pasted([frame] * 3, [WHITE] * 3, weights, square.patch(WHOLE)))
    assert [int(one[50, 60, 0]) for one in after] == [255, 178, 100]
    crops = list(faded([frame] * 3, [WHITE] * 3, weights, square.part(WHOLE)))
    assert [one.shape for one in crops] == [(64, 64, 3)] * 3
    assert [int(one[32, 32, 0]) for one in crops] == [255, 178, 100]


def boxes(*lost: int, num: int = 13) -> list[list[np.ndarray]]:
    return [[] if look in lost else [np.array([40.0, 30, 80, 80])] for look in range(num)]


def test_frames_between_looks_that_differ_are_looked_at_and_none_without_a_face_is_edited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown, asked = boxes(*range(18, 28), num=61), []
    monkeypatch.setattr(framing, "find_faces", lambda indices, region=None: [shown[index] for index in indices])

    def frames_at(indices: list[int]) -> list[int]:
        asked.append(indices)
        return indices

    square = find_square(frames_at, 61, 140, 100, RULE)
    assert len(looks(61)) == 13 and looks(3) == [0, 2] and looks(1) == [0]
    assert asked == [looks(61), [16, 17, 18, 19, 26, 27, 28, 29]]
    assert np.flatnonzero(~square.is_seen_T).tolist() == list(range(18, 28))
    np.testing.assert_allclose(square.presence_T[12:19], [1, 1, 0.8, 0.6, 0.4, 0.2, 0], atol=1e-6)
    assert not square.presence_T[18:28].any() and (square.presence_T[32:] == 1).all()
    assert square.face_ratio == pytest.approx(51 / 61)
    assert (square.cut.left, square.cut.top, len(square.cut.rows)) == (30, 25, 60)


def test_another_face_in_a_frame_between_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = boxes(*range(31, 41), num=61)
    shown[32] = [np.array([100.0, 30, 130, 80])]
    monkeypatch.setattr(framing, "find_faces", lambda indices, region=None: [shown[index] for index in indices])
    assert np.flatnonzero(~find_square(list, 61, 140, 100, RULE).is_seen_T).tolist() == list(range(31, 41))


def test_a_change_fades_towards_frames_that_do_not_show_the_face() -> None:
    is_found = np.ones(20, bool)
    assert (presence(is_found) == 1).all()
    is_found[[3, 12, 13]] = False
    expected = [0.6, 0.4, 0.2, 0, 0.2, 0.4, 0.6, 0.8, 0.8, 0.6, 0.4, 0.2, 0, 0, 0.2, 0.4, 0.6, 0.8, 1, 1]
    np.testing.assert_allclose(presence(is_found), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("faces", "code"),
    [
        (boxes(*range(13)), "no_face"),
        (boxes(*range(8)), "no_face"),
        ([[*one, np.array([100.0, 30, 130, 80])] for one in boxes()], "two_faces"),
    ],
)
def test_no_face_and_two_faces_are_told_apart(
    monkeypatch: pytest.MonkeyPatch, faces: list[list[np.ndarray]], code: str
) -> None:
    monkeypatch.setattr(framing, "find_faces", lambda frames: faces)
    monkeypatch.setattr(framing, "small_face_region", lambda frames: None)
    with pytest.raises(ClipError, match=code):
        find_square(list, 61, 140, 100, RULE)
