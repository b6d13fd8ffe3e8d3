"""Mouth and lids of a face without its head pose, and the range of real faces."""

import numpy as np
import pytest

from cmet.backbones.facemesh.basis import FILE, ExpressionBasis
from cmet.editing.built_in import BUILT_IN
from tests.face_shapes import EYES, INNER, MOVING, QUANTITIES, RealRange, jitter, shapes


@pytest.fixture(scope="module")
def template() -> np.ndarray:
    return ExpressionBasis.load(next(BUILT_IN.rglob(FILE)).parent).template


@pytest.fixture(scope="module")
def unit(template: np.ndarray) -> float:
    """Distance between the outer eye corners."""
    return float(np.linalg.norm(template[33] - template[263]))


@pytest.fixture
def still(template: np.ndarray) -> np.ndarray:
    """Three equal frames."""
    return np.repeat(template[None], 3, axis=0)


def of(track: np.ndarray, source: np.ndarray, template: np.ndarray) -> dict[str, float]:
    return dict(zip(QUANTITIES, shapes(track, source, template)[1], strict=True))


def moved(track: np.ndarray, points: tuple[int, ...], down: float, right: float = 0) -> np.ndarray:
    changed = track.copy()
    changed[1, list(points), :2] += (right, down)
    return changed


def test_head_pose_and_size_change_nothing(still: np.ndarray, template: np.ndarray) -> None:
    turn, nod = np.radians(20), np.radians(-15)
    about_y = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(nod), -np.sin(nod)], [0, np.sin(nod), np.cos(nod)]])
    posed = 90 * still @ (about_y @ about_x).T + [300, 200, 0]
    np.testing.assert_allclose(shapes(posed, posed, template), shapes(still, still, template), atol=1e-9)


def test_the_gap_is_the_smallest_and_negative_where_lips_cross(
    still: np.ndarray, template: np.ndarray, unit: float
) -> None:
    before = of(still, still, template)
    lower = INNER[1][1:-1]
    assert of(moved(still, lower, 0.1 * unit), still, template)["lip gap"] == pytest.approx(before["lip gap"] + 0.1)
    crossed = moved(still, (lower[3],), -0.3 * unit)
    assert of(crossed, still, template)["lip gap"] < 0


def test_corners_that_go_up_make_height_and_angle_positive(
    still: np.ndarray, template: np.ndarray, unit: float
) -> None:
    before, after = (of(track, still, template) for track in (still, moved(still, (78, 308), -0.05 * unit)))
    assert after["corner height"] == pytest.approx(before["corner height"] + 0.05)
    assert after["corner angle"] > before["corner angle"] + 4


def test_width_is_that_of_the_outer_corners(still: np.ndarray, template: np.ndarray, unit: float) -> None:
    before, after = (of(track, still, template) for track in (still, moved(still, (291,), 0, 0.1 * unit)))
    assert after["mouth width"] == pytest.approx(before["mouth width"] + 0.1, abs=0.01)


def test_lips_are_compared_with_those_of_the_unedited_person(still: np.ndarray, template: np.ndarray) -> None:
    thickness = template[17, 1] - template[14, 1]
    after = of(moved(still, (17,), thickness), still, template)
    assert after["upper lip"] == pytest.approx(1)
    assert after["lower lip"] == pytest.approx(2, abs=0.02)


def test_closed_lids_have_no_opening(still: np.ndarray, template: np.ndarray) -> None:
    shut = still.copy()
    for upper, lower in EYES:
        shut[1, list(lower)] = shut[1, list(upper)]
    assert of(still, still, template)["lid opening"] > 0.1
    assert of(shut, still, template)["lid opening"] == pytest.approx(0, abs=1e-12)


def test_frames_beyond_the_range_are_told_in_its_widths(still: np.ndarray, template: np.ndarray, unit: float) -> None:
    lower = INNER[1][1:-1]
    talking = template + 1e-4 * np.random.default_rng(0).normal(size=(101, 468, 3))
    talking[:, list(lower), 1] += 0.2 * unit * np.linspace(0, 1, 101)[:, None]
    bounds = RealRange.of([talking])
    # one of a hundred at each end
    assert [int((values_T > 0).sum()) for values_T in bounds.beyond(talking, talking).values()] == [2] * len(QUANTITIES)
    beyond = bounds.beyond(moved(still, lower, 0.4 * unit), still)
    assert beyond["lip gap"][1] == pytest.approx(1, abs=0.03)
    assert not beyond["lid opening"][1] > 1


def test_jitter_is_that_of_the_source_times_what_was_added(still: np.ndarray, template: np.ndarray) -> None:
    draw = np.random.default_rng(0)
    source = np.repeat(template[None], 40, axis=0)
    noise = np.zeros_like(source)
    noise[:, MOVING] = 1e-3 * draw.normal(size=(40, len(MOVING), 3))
    assert jitter(source + noise, source + noise, template) == 1
    assert jitter(source + 3 * noise, source + noise, template) == pytest.approx(3, rel=0.05)
