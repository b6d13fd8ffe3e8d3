import numpy as np
import pytest

from cmet.backbones.facemesh.mesh import LIPS, NUM_FACE_POINTS
from cmet.backbones.facemesh.mouth import draw_inner_mouth

EYE_DISTANCE = 100.0
SKIN, TEETH = (190, 140, 120), (240, 240, 235)
GAP = 12.0


@pytest.fixture
def points() -> np.ndarray:
    """A mouth of 90 by 12 pixels that shows its teeth, in a picture of 200 by 160."""
    points = np.zeros((NUM_FACE_POINTS, 2))
    for name, depth, half in (
        ("outer_upper", -14.0, 52.0), ("outer_lower", 14.0 + GAP, 52.0), ("inner_upper", 0.0, 45.0),
        ("inner_lower", GAP, 45.0),
    ):  # fmt: skip
        along = np.linspace(-1, 1, len(LIPS[name]))
        bow = GAP / 2 + (depth - GAP / 2) * (1 - along**4)
        points[list(LIPS[name])] = np.stack([100 + half * along, 80 + bow], axis=1)
    return points


@pytest.fixture
def frame() -> np.ndarray:
    frame = np.full((160, 200, 3), SKIN, np.uint8)
    frame[80 : 80 + int(GAP), 60:140] = TEETH
    # a gap between two teeth
    frame[80 : 80 + int(GAP), 99:101] = (60, 30, 30)
    return frame


def opened(points: np.ndarray, by: float) -> np.ndarray:
    shift = np.zeros_like(points)
    for name in ("inner_lower", "outer_lower"):
        along = np.linspace(-1, 1, len(LIPS[name]))
        shift[list(LIPS[name]), 1] = by * (1 - along**2)
    return shift


def drawn(frame: np.ndarray, points: np.ndarray, shift: np.ndarray) -> np.ndarray:
    result = frame.copy()
    draw_inner_mouth(frame, result, points, shift, EYE_DISTANCE)
    return result


def test_a_mouth_that_is_not_moved_stays_as_it_is(frame: np.ndarray, points: np.ndarray) -> None:
    np.testing.assert_array_equal(drawn(frame, points, np.zeros_like(points)), frame)


def test_where_nothing_was_seen_it_is_dark(frame: np.ndarray, points: np.ndarray) -> None:
    result = drawn(frame, points, opened(points, 40))
    middle = result[80 + 22, 100].astype(int)
    assert middle.max() < 110
    # teeth hang on the upper lip
    assert result[84, 90].min() > 220


def test_teeth_are_not_stretched_along_with_the_lips(frame: np.ndarray, points: np.ndarray) -> None:
    shift = np.zeros_like(points)
    for name in LIPS:
        shift[list(LIPS[name]), 0] = 40 * np.linspace(-1, 1, len(LIPS[name]))
    dark = (drawn(frame, points, shift)[86, 90:111].astype(int).sum(axis=1) < 500).sum()
    assert dark <= 4


def test_pixels_outside_of_the_lips_are_not_touched(frame: np.ndarray, points: np.ndarray) -> None:
    shift = opened(points, 40)
    result = drawn(frame, points, shift)
    np.testing.assert_array_equal(result[:70], frame[:70])
    np.testing.assert_array_equal(result[140:], frame[140:])
    np.testing.assert_array_equal(result[:, :50], frame[:, :50])


def test_a_closed_mouth_that_stays_closed_gets_no_inside(frame: np.ndarray, points: np.ndarray) -> None:
    points[list(LIPS["inner_lower"])] = points[list(LIPS["inner_upper"])]
    shift = np.full_like(points, 5.0)
    np.testing.assert_array_equal(drawn(frame, points, shift), frame)


def test_a_mouth_at_the_edge_of_the_picture_is_no_error(frame: np.ndarray, points: np.ndarray) -> None:
    for by in ((-90, 0), (90, 0), (0, -90), (0, 90), (400, 400)):
        drawn(frame, points + by, opened(points, 30))
