import cv2
import numpy as np
import pytest

from cmet.editing.result.marking import MIN_LETTER_PX, mark_of, marked

SIZES = [(128, 128), (256, 456), (720, 1280), (1920, 1080)]


def picture(height: int, width: int, level: int) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("level", [0, 128, 255])
def test_the_mark_stands_out_from_any_background(height: int, width: int, level: int) -> None:
    frame = picture(height, width, level)
    (result,) = marked([frame])
    changed = (result != frame).any(axis=2)
    left, top, across, down = cv2.boundingRect(changed.astype(np.uint8))
    assert left + across < width * 0.95 and top + down < height * 0.3
    assert down >= MIN_LETTER_PX
    inside = result[top : top + down, left : left + across]
    assert inside.max() == 255 and np.quantile(inside, 0.5) < 130


def test_only_a_corner_changes_and_the_frame_itself_does_not() -> None:
    frame = np.random.default_rng(0).integers(0, 255, (720, 1280, 3), np.uint8)
    before = frame.copy()
    (result,) = marked([frame])
    np.testing.assert_array_equal(frame, before)
    np.testing.assert_array_equal(result[100:], frame[100:])
    np.testing.assert_array_equal(result[:, 400:], frame[:, 400:])


def test_the_mark_grows_with_the_picture() -> None:
    heights = [mark_of(height, width)[0].shape[0] for height, width in SIZES]
    assert heights == sorted(heights) and heights[-1] > 2 * heights[0]


def test_a_picture_smaller_than_its_mark_is_no_error() -> None:
    assert [frame.shape for frame in marked([picture(16, 16, 9)])] == [(16, 16, 3)]
