import numpy as np
import pytest

from cmet.editing.emotions.transition import Transition, deltas_along, emotion_shares, timed_shares

HAPPY, ANGRY = np.array([4.0, 0.0, -2.0], np.float32), np.array([0.0, 8.0, 2.0], np.float32)


@pytest.mark.parametrize(
    ("num_windows", "num_emotions", "transition", "shares"),
    [
        (1, 1, "smooth", [[1]]),
        (3, 1, "smooth", [[1], [1], [1]]),
        (2, 2, "smooth", [[1, 0], [0, 1]]),
        (3, 2, "smooth", [[1, 0], [0.5, 0.5], [0, 1]]),
        (5, 2, "smooth", [[1, 0], [0.75, 0.25], [0.5, 0.5], [0.25, 0.75], [0, 1]]),
        # the middle one has the third of four windows for itself
        (4, 3, "smooth", [[1, 0, 0], [0.5, 0.5, 0], [0, 1, 0], [0, 0, 1]]),
        (3, 1, "switch", [[1], [1], [1]]),
        (4, 2, "switch", [[1, 0], [1, 0], [0, 1], [0, 1]]),
        (5, 2, "switch", [[1, 0], [1, 0], [1, 0], [0, 1], [0, 1]]),
        (5, 3, "switch", [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]]),
    ],
)
def test_shares_of_windows(
    num_windows: int, num_emotions: int, transition: Transition, shares: list[list[float]]
) -> None:
    np.testing.assert_array_equal(emotion_shares(num_windows, num_emotions, transition), shares)


@pytest.mark.parametrize("transition", ["smooth", "switch"])
def test_every_emotion_has_a_window_of_its_own_in_order_and_the_ends_are_the_first_and_the_last(
    transition: Transition,
) -> None:
    for num_windows in range(1, 30):
        for num_emotions in range(1, num_windows + 1):
            shares = emotion_shares(num_windows, num_emotions, transition)
            np.testing.assert_allclose(shares.sum(axis=1), 1)
            assert shares[0, 0] == shares[-1, -1] == 1 and (shares == 1).any(axis=0).all()
            assert (np.diff(shares @ np.arange(num_emotions)) >= -1e-12).all()


@pytest.mark.parametrize("transition", ["smooth", "switch"])
@pytest.mark.parametrize(("num_windows", "num_emotions"), [(2, 3), (0, 1), (3, 0)])
def test_fewer_windows_than_emotions_are_refused(num_windows: int, num_emotions: int, transition: Transition) -> None:
    with pytest.raises(ValueError, match=f"a window for each of {num_emotions} emotions, got {num_windows}"):
        emotion_shares(num_windows, num_emotions, transition)


def test_directions_end_exactly_where_they_shall_and_are_the_mean_halfway() -> None:
    directions = deltas_along(emotion_shares(5, 2, "smooth"), [HAPPY, ANGRY])
    np.testing.assert_array_equal(directions[[0, -1]], [HAPPY, ANGRY])
    np.testing.assert_array_equal(directions[1:4], [[3, 2, -1], [2, 4, 0], [1, 6, 1]])
    switched = deltas_along(emotion_shares(5, 2, "switch"), [HAPPY, ANGRY])
    np.testing.assert_array_equal(switched, [HAPPY, HAPPY, HAPPY, ANGRY, ANGRY])


def test_no_change_leaves_the_direction_of_its_neighbour_as_it_is() -> None:
    there_and_on = deltas_along(emotion_shares(5, 3, "smooth"), [HAPPY, None, ANGRY])
    np.testing.assert_array_equal(there_and_on, [HAPPY, HAPPY, [0, 0, 0], ANGRY, ANGRY])
    switched = deltas_along(emotion_shares(3, 3, "switch"), [None, HAPPY, None])
    np.testing.assert_array_equal(switched, [[0, 0, 0], HAPPY, [0, 0, 0]])


@pytest.mark.parametrize(("ease_s", "fps"), [(0.0, 25), (0.8, 25), (0.8, 30), (9.0, 25)])
def test_with_times_the_share_goes_over_without_a_jump_and_is_even_at_the_boundary(ease_s: float, fps: float) -> None:
    shares = timed_shares(int(5 * fps), fps, [0, 2, 4], 5, [ease_s] * 3)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert (np.diff(shares @ np.arange(3)) >= -1e-12).all()
    # no change takes longer than what is beside it lasts
    for boundary_s, lasts_s in ((2, min(ease_s, 2)), (4, min(ease_s, 1))):
        times_s = (np.arange(len(shares)) + 0.5) / fps
        is_near = np.abs(times_s - boundary_s) < lasts_s / 2
        is_own = shares.max(axis=1) == 1
        assert not is_own[is_near].any()
        steepest = 1.5 / max(lasts_s * fps, 1.5)
        assert np.abs(np.diff(shares, axis=0)[np.abs(times_s[1:] - boundary_s) < 0.4]).max() <= steepest + 1e-9
    assert (shares[0], shares[-1]) == (pytest.approx([1, 0, 0]), pytest.approx([0, 0, 1]))


def test_a_change_begins_and_ends_slowly() -> None:
    steps = np.diff(timed_shares(100, 25, [0, 2], 4, [0, 0.8])[:, 1])
    assert steps[39:60].max() == pytest.approx(1.5 / 20, rel=0.01) and 0 < steps[40] < 0.2 * steps.max()
    np.testing.assert_allclose(steps, steps[::-1], atol=1e-12)


def test_a_switch_is_at_the_frame_that_is_shown_from_then_on() -> None:
    assert timed_shares(100, 25, [0, 2], 4, [0, 0])[:, 1].tolist() == [0] * 50 + [1] * 50


def test_one_emotion_with_a_time_has_all_frames() -> None:
    np.testing.assert_array_equal(timed_shares(7, 30, [0.1], 7 / 30, [0.8]), np.ones((7, 1)))
