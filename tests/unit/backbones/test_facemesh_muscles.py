import numpy as np
import pytest

from cmet.backbones.facemesh.basis import ExpressionBasis
from cmet.backbones.facemesh.mesh import LIPS, NUM_FACE_POINTS, OVAL
from cmet.backbones.facemesh.muscles import ACTION_UNITS, USED_BY, Muscles, actions_of, fit_actions
from cmet.editing.built_in import BUILT_IN
from cmet.vocabulary import EMOTIONS

LEFT_CORNER, RIGHT_CORNER, CHIN, FOREHEAD, NOSE_BRIDGE = 61, 291, 152, 10, 6


@pytest.fixture(scope="module")
def template() -> np.ndarray:
    return ExpressionBasis.load(BUILT_IN / "backbone").template


@pytest.fixture(scope="module")
def muscles(template: np.ndarray) -> Muscles:
    return Muscles.of(template)


def moved_by(muscles: Muscles, action: str) -> np.ndarray:
    """In distances between the eyes."""
    return muscles.fields[list(ACTION_UNITS).index(action)] / muscles.eye_distance


@pytest.mark.parametrize(
    ("action", "point", "sign"),
    [
        ("smile", RIGHT_CORNER, -1), ("frown", RIGHT_CORNER, 1), ("jaw_drop", CHIN, 1), ("inner_brow_raise", 285, -1),
        ("outer_brow_raise", 276, -1), ("brow_lower", 285, 1), ("lid_raise", 386, -1), ("lid_droop", 386, 1),
        ("lid_tighten", 374, -1), ("cheek_raise", 280, -1), ("nose_wrinkle", 278, -1), ("chin_raise", 199, -1),
    ],
)  # fmt: skip
def test_an_action_moves_its_part_up_or_down(muscles: Muscles, action: str, point: int, sign: int) -> None:
    assert 0.015 < sign * moved_by(muscles, action)[point, 1] < 0.25


@pytest.mark.parametrize("action", [name for name in ACTION_UNITS if name != "smirk"])
def test_both_sides_of_a_face_do_the_same(muscles: Muscles, action: str) -> None:
    field = moved_by(muscles, action)
    for left, right in ((LEFT_CORNER, RIGHT_CORNER), (55, 285), (159, 386), (50, 280), (145, 374)):
        np.testing.assert_allclose(field[left] * (-1, 1), field[right], atol=0.01)


def test_a_smirk_is_on_the_right_of_the_picture(muscles: Muscles) -> None:
    field = moved_by(muscles, "smirk")
    assert field[RIGHT_CORNER, 1] < -0.05
    assert abs(field[LEFT_CORNER, 1]) < 0.005


def test_forehead_and_bridge_of_the_nose_stay_where_they_are(muscles: Muscles) -> None:
    assert not muscles.fields[:, [FOREHEAD, NOSE_BRIDGE]].any()


def test_skin_follows_smoothly(muscles: Muscles) -> None:
    """No point goes further than those that an action moves, and the outline moves with the jaw alone."""
    for action in ACTION_UNITS:
        assert np.linalg.norm(moved_by(muscles, action), axis=1).max() < 0.23, action
        if action != "jaw_drop":
            assert np.linalg.norm(moved_by(muscles, action)[list(OVAL)], axis=1).max() < 0.05, action


def test_lips_keep_their_thickness_unless_they_are_pressed(muscles: Muscles) -> None:
    middle = len(LIPS["outer_upper"]) // 2
    for side in ("upper", "lower"):
        outer, inner = LIPS[f"outer_{side}"][middle], LIPS[f"inner_{side}"][middle]
        for action in ACTION_UNITS:
            change = np.linalg.norm(moved_by(muscles, action)[outer] - moved_by(muscles, action)[inner])
            assert change < (0.04 if action == "lip_press" else 0.015), action


def test_each_emotion_uses_actions_that_exist_more_at_a_higher_level() -> None:
    assert set(USED_BY) == set(EMOTIONS)
    for emotion in EMOTIONS:
        assert set(USED_BY[emotion]) <= set(ACTION_UNITS)
        faint, strong = actions_of(emotion, 1), actions_of(emotion, 3)
        assert faint is not None and strong is not None
        assert (strong >= faint).all()
        np.testing.assert_array_equal(actions_of(emotion, None), strong)


def test_what_muscles_an_unknown_emotion_uses_is_not_known() -> None:
    assert actions_of("sarcastic", 3) is None


def test_actions_are_read_off_codes_as_they_were_put_in() -> None:
    random = np.random.default_rng(0)
    truth = random.normal(size=(len(ACTION_UNITS), 4))
    deltas = random.normal(size=(14, 4))
    np.testing.assert_allclose(fit_actions(deltas, deltas @ truth.T), truth, atol=0.01)


def test_shades_are_on_both_sides(muscles: Muscles) -> None:
    smile = muscles.shades[list(ACTION_UNITS).index("smile")]
    assert smile.shape == (NUM_FACE_POINTS,)
    assert smile[206] == smile[426] < 0 < smile[50] == smile[280]
