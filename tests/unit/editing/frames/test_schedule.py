from pathlib import Path

import numpy as np
import pytest
from fill import normal

from cmet.editing.frames.schedule import frames_in_order, published_schedule, there_and_back
from cmet.errors import UserError
from cmet.media.video import VideoFile, read_video
from tests.properties import given
from tests.properties import strategies as st

GOLDEN = np.load(Path(__file__).parents[3] / "golden/inference.npz")


@given(st.integers(1, 50), st.integers(0, 300))
def test_there_and_back_moves_by_one_frame_and_stays_at_the_ends_for_two(num_frames: int, num_wanted: int) -> None:
    order = there_and_back(num_frames, num_wanted)
    assert len(order) == num_wanted
    assert set(order.tolist()) == set(range(min(num_frames, num_wanted)))
    for before, after in zip(order, order[1:], strict=False):
        assert abs(after - before) == 1 or (after == before and after in (0, num_frames - 1))


def test_the_published_schedule_is_that_of_the_published_code() -> None:
    expression, pose = published_schedule(num_edited=45, num_poses=48, num_lips=60)
    np.testing.assert_array_equal(expression, GOLDEN["long/index"])
    np.testing.assert_array_equal(pose, GOLDEN["long/pose_frame"])
    edited = normal("infer/source48", (48, 10), 0.8).numpy()[:45] + GOLDEN["long/directions"]
    np.testing.assert_allclose(edited[expression], GOLDEN["long/rendered"], atol=2e-5)


@given(st.integers(1, 20), st.integers(1, 200))
def test_the_published_schedule_goes_on_with_the_reversed_copy_of_the_whole(num_kept: int, num_lips: int) -> None:
    expected = list(range(num_kept))
    while len(expected) < num_lips:
        expected += expected[::-1]
    expression, _ = published_schedule(num_kept + 20, num_kept + 20, num_lips)
    assert expression.tolist() == expected[:num_lips]


def test_a_video_of_which_nothing_is_left_is_refused_where_the_published_code_never_ends() -> None:
    with pytest.raises(UserError, match="20 frames can be edited, but .* drops the last 20"):
        published_schedule(20, 24, 50)


class Numbered:
    """A file whose frame at an index is the index; it counts how many are asked for at once."""

    width, height = 2, 2

    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    def frames_at(self, indices: list[int]):
        assert indices == sorted(indices)
        self.asked.append(indices)
        yield from indices


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.integers(1, 5))
def test_frames_come_in_the_order_asked_for_and_backwards_in_small_blocks(order: list[int], block: int) -> None:
    file = Numbered()
    assert list(frames_in_order(file, np.array(order), block_bytes=12 * block)) == order
    forwards = there_and_back(30, 30).tolist()
    file.asked.clear()
    assert list(frames_in_order(file, np.array(forwards + forwards[::-1]), 12 * block)) == forwards + forwards[::-1]
    assert file.asked[0] == [*forwards, 29] and max(map(len, file.asked[1:])) <= block


def test_a_real_file_is_read_backwards(moving_square: Path) -> None:
    order = np.array([3, 4, 4, 3, 2, 1, 0, 0, 1])
    frames = read_video(moving_square).frames
    found = frames_in_order(VideoFile(moving_square), order, block_bytes=2 * frames[0].nbytes)
    np.testing.assert_array_equal(np.stack(list(found)), frames[order])
