import numpy as np
import pytest

from cmet.backbones.facemesh.basis import ExpressionBasis
from cmet.backbones.facemesh.limits import (
    MAX_ACTION,
    MAX_LID_GAP,
    MAX_LOWERING,
    MIN_LID_SHARE,
    bent,
    beside_own_smile,
    facing,
    movement_of,
)
from cmet.backbones.facemesh.muscles import ACTION_UNITS, Muscles
from cmet.backbones.facemesh.pose import Pose
from cmet.editing.built_in import BUILT_IN

UPPER_LIP, LOWER_LIP, UPPER_LID, LOWER_LID = 13, 14, 386, 374
NUM_FRAMES = 60


@pytest.fixture(scope="module")
def plane() -> np.ndarray:
    return ExpressionBasis.load(BUILT_IN / "backbone").template[:, :2]


@pytest.fixture(scope="module")
def muscles() -> Muscles:
    return Muscles.of(ExpressionBasis.load(BUILT_IN / "backbone").template)


def doing(num_frames: int = NUM_FRAMES, **actions: float) -> np.ndarray:
    return np.tile([actions.get(name, 0.0) for name in ACTION_UNITS], (num_frames, 1))


def with_gap(plane: np.ndarray, gaps: np.ndarray, upper: int, lower: int) -> np.ndarray:
    """Frames in which two points are so far apart, one below the other."""
    frames = np.tile(plane, (len(gaps), 1, 1))
    frames[:, lower, 0] = frames[:, upper, 0]
    frames[:, lower, 1] = frames[:, upper, 1] + gaps
    return frames


def gap_of(frames: np.ndarray, upper: int, lower: int) -> np.ndarray:
    return frames[:, lower, 1] - frames[:, upper, 1]


@pytest.mark.parametrize("action", ["jaw_drop", "smile", "lip_stretch"])
def test_lips_that_meet_in_speech_stay_closed(plane: np.ndarray, muscles: Muscles, action: str) -> None:
    gaps = np.full(NUM_FRAMES, 0.15)
    gaps[28:31] = 0
    frames = with_gap(plane, gaps, UPPER_LIP, LOWER_LIP)
    shown = gap_of(frames + movement_of(muscles, doing(**{action: 1.3}), frames), UPPER_LIP, LOWER_LIP)
    np.testing.assert_allclose(shown[28:31], 0, atol=1e-9)
    assert shown[0] > 0.15


def test_a_mouth_that_is_opened_further_closes_without_a_leap(plane: np.ndarray, muscles: Muscles) -> None:
    gaps = np.full(NUM_FRAMES, 0.15)
    gaps[30] = 0
    frames = with_gap(plane, gaps, UPPER_LIP, LOWER_LIP)
    shown = gap_of(frames + movement_of(muscles, doing(jaw_drop=1.3), frames), UPPER_LIP, LOWER_LIP)
    added = shown - gaps
    assert added[30] == pytest.approx(0, abs=1e-9)
    assert np.abs(np.diff(added)).max() < 0.6 * added[0]


def test_a_mouth_at_rest_may_be_opened(plane: np.ndarray, muscles: Muscles) -> None:
    frames = with_gap(plane, np.zeros(NUM_FRAMES), UPPER_LIP, LOWER_LIP)
    shown = gap_of(frames + movement_of(muscles, doing(jaw_drop=1), frames), UPPER_LIP, LOWER_LIP)
    assert shown.min() > 0.15


def test_lips_never_cross(plane: np.ndarray, muscles: Muscles) -> None:
    frames = with_gap(plane, np.full(NUM_FRAMES, 0.005), UPPER_LIP, LOWER_LIP)
    shown = gap_of(frames + movement_of(muscles, doing(chin_raise=1.5, frown=1.5), frames), UPPER_LIP, LOWER_LIP)
    assert shown.min() >= -1e-9


@pytest.mark.parametrize("action", ["lid_raise", "lid_droop", "lid_tighten"])
def test_blinks_stay(plane: np.ndarray, muscles: Muscles, action: str) -> None:
    gaps = np.full(NUM_FRAMES, 0.13)
    gaps[30] = 0
    frames = with_gap(plane, gaps, UPPER_LID, LOWER_LID)
    shown = gap_of(frames + movement_of(muscles, doing(**{action: 1.3}), frames), UPPER_LID, LOWER_LID)
    assert abs(shown[30]) < 1e-9
    assert abs(shown[0] - 0.13) > 0.01


def test_eyes_that_are_open_are_not_shut(plane: np.ndarray, muscles: Muscles) -> None:
    frames = with_gap(plane, np.full(NUM_FRAMES, 0.1), UPPER_LID, LOWER_LID)
    shown = gap_of(frames + movement_of(muscles, doing(lid_droop=5, lid_tighten=5), frames), UPPER_LID, LOWER_LID)
    assert shown.min() >= MIN_LID_SHARE * 0.1 - 1e-9


def test_eyes_are_not_torn_open(plane: np.ndarray, muscles: Muscles) -> None:
    frames = with_gap(plane, np.full(NUM_FRAMES, 0.13), UPPER_LID, LOWER_LID)
    shown = gap_of(frames + movement_of(muscles, doing(lid_raise=5), frames), UPPER_LID, LOWER_LID)
    assert 0.13 < shown.max() / muscles.eye_distance <= MAX_LID_GAP + 1e-9


def test_brows_stop_above_the_eyes(plane: np.ndarray, muscles: Muscles) -> None:
    frames = np.tile(plane, (3, 1, 1))
    room = plane[362, 1] - plane[285, 1]
    assert movement_of(muscles, doing(3, brow_lower=50), frames)[0, 285, 1] == pytest.approx(
        MAX_LOWERING * room, rel=0.1
    )


def test_actions_are_bent_towards_the_most_that_people_do() -> None:
    bent_actions = bent(np.array([[-1.0, 0.05, 0.9, 100.0]]))[0]
    assert bent_actions[0] == bent_actions[1] == 0
    assert bent_actions[2] == pytest.approx(0.9, abs=0.05)
    assert bent_actions[3] == pytest.approx(MAX_ACTION)


def test_another_expression_takes_the_place_of_ones_own_smile() -> None:
    smile, cheeks = (list(ACTION_UNITS).index(name) for name in ("smile", "cheek_raise"))
    sad = beside_own_smile(doing(1, frown=1.0), own=0.8)[0]
    assert sad[smile] == pytest.approx(-0.8)
    assert sad[cheeks] < 0
    happy = beside_own_smile(doing(1, smile=1.2), own=0.8)[0]
    assert happy[smile] == pytest.approx(MAX_ACTION - 0.8)


def test_no_change_leaves_ones_own_smile() -> None:
    assert not beside_own_smile(doing(1), own=0.8).any()


def test_an_edit_fades_as_the_head_turns_away() -> None:
    def turned(degrees: float) -> np.ndarray:
        sin, cos = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
        return np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])

    pose = Pose(np.ones(4), np.stack([turned(angle) for angle in (0, 30, 48, 70)]))
    straight, slightly, more, away = facing(pose)
    assert straight == slightly == 1
    assert 0 < more < 1
    assert away == 0
