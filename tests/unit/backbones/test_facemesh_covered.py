"""Something before the mouth: the edit goes before it comes, and is there again when it has gone."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from cmet.backbones.facemesh.basis import ExpressionBasis
from cmet.backbones.facemesh.covered import AVERAGED, FADE_FRAMES, MIN_PICTURES, UsualLook
from cmet.backbones.facemesh.model import FaceMesh, PersonMesh
from cmet.editing.built_in import BUILT_IN

SIDE, SCALE, SKIN = 240, 50, (190, 150, 130)
NUM_FRAMES = 60
COVERED = range(25, 40)
AHEAD = AVERAGED // 2 + FADE_FRAMES


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    """Landmarks, shape (478, 3)."""
    template = ExpressionBasis.load(BUILT_IN / "backbone").template
    return (np.concatenate([template, np.zeros((10, 3))]) * SCALE + (120, 100, 0)).astype(np.float32)


@pytest.fixture
def frames(face: np.ndarray) -> list[np.ndarray]:
    """A face with lips, in light that grows."""
    random = np.random.default_rng(0)
    light = np.linspace(0.7, 1.2, NUM_FRAMES)
    shown = [(random.normal(SKIN, 3, (SIDE, SIDE, 3)) * share).clip(0, 255).astype(np.uint8) for share in light]
    lips = tuple(int(v) for v in (face[13, :2] + face[14, :2]) / 2)
    return [cv2.ellipse(frame, lips, (22, 8), 0, 0, 360, (150, 70, 80), -1) for frame in shown]


@pytest.fixture
def track(face: np.ndarray) -> np.ndarray:
    return np.repeat(face[None], NUM_FRAMES, axis=0)


def covered(frames: list[np.ndarray], face: np.ndarray) -> list[np.ndarray]:
    """The same with fingers before the mouth."""
    top, (left, right) = int(face[2, 1]), (int(face[point, 0]) for point in (57, 287))
    shown = [frame.copy() for frame in frames]
    for index in COVERED:
        for x in range(left - 10, right + 10, 16):
            cv2.rectangle(shown[index], (x, top), (x + 12, SIDE), (205, 160, 140), -1)
            cv2.rectangle(shown[index], (x + 12, top), (x + 15, SIDE), (90, 60, 50), -1)
    return shown


def free(frames: list[np.ndarray], track: np.ndarray) -> np.ndarray:
    some = np.unique(np.linspace(0, len(frames) - 1, 12).astype(int))
    usual = UsualLook.of([frames[index] for index in some], track[some])
    assert usual is not None
    return np.array(list(usual.free(frames, track[..., :2])))


def test_an_edit_fades_out_before_a_hand_comes_and_in_after_it(
    frames: list[np.ndarray], track: np.ndarray, face: np.ndarray
) -> None:
    shares = free(covered(frames, face), track)
    assert len(shares) == NUM_FRAMES
    assert shares[COVERED[AVERAGED // 2] : COVERED[-AVERAGED // 2]].max() == 0
    assert shares[: COVERED[0] - AHEAD].min() == shares[COVERED[-1] + AHEAD + 1 :].min() == 1
    assert np.abs(np.diff(shares)).max() <= 1 / (FADE_FRAMES + 1) + 1e-9


def test_other_light_is_no_hand(frames: list[np.ndarray], track: np.ndarray) -> None:
    assert free(frames, track).min() == 1


def test_frames_are_read_no_further_ahead_than_needed(frames: list[np.ndarray], track: np.ndarray) -> None:
    num_read = 0

    def counted() -> Iterator[np.ndarray]:
        nonlocal num_read
        for frame in frames:
            num_read += 1
            yield frame

    usual = UsualLook.of(frames[:MIN_PICTURES], track[:MIN_PICTURES])
    assert usual is not None
    for index, _ in enumerate(usual.free(counted(), track[..., :2])):
        assert num_read <= index + 1 + AHEAD


@pytest.mark.parametrize("num_frames", [1, 3, AHEAD, AHEAD + 1])
def test_a_short_video_has_a_share_for_each_frame(frames: list[np.ndarray], track: np.ndarray, num_frames: int) -> None:
    usual = UsualLook.of(frames[:MIN_PICTURES], track[:MIN_PICTURES])
    assert usual is not None
    assert len(list(usual.free(frames[:num_frames], track[:num_frames, :, :2]))) == num_frames


def test_too_few_pictures_with_a_face_say_nothing(frames: list[np.ndarray], track: np.ndarray) -> None:
    assert UsualLook.of([], track[:0]) is None
    unseen = track[: MIN_PICTURES + 1].copy()
    unseen[:2] = np.nan
    assert UsualLook.of(frames[: MIN_PICTURES + 1], unseen) is None


@pytest.mark.parametrize("shift", [(-SIDE, 0), (0, 3 * SIDE), (SIDE // 2, 0)])
def test_a_face_may_leave_the_picture(frames: list[np.ndarray], track: np.ndarray, shift: tuple[int, int]) -> None:
    usual = UsualLook.of(frames[:MIN_PICTURES], track[:MIN_PICTURES])
    assert usual is not None
    assert len(list(usual.free(frames[:3], track[:3, :, :2] + np.array(shift)))) == 3


def test_where_a_mouth_is_covered_the_frame_stays_as_it_is(
    frames: list[np.ndarray], track: np.ndarray, face: np.ndarray
) -> None:
    basis = ExpressionBasis.load(BUILT_IN / "backbone")
    shown = covered(frames, face)
    person = FaceMesh(basis).of_person(shown[:20], track[:20])
    assert isinstance(person, PersonMesh)
    codes = person.encode(track) + np.linspace(1, 2, basis.width, dtype=np.float32)
    changed = [bool((one != other).any()) for one, other in zip(shown, person.render(shown, track, codes), strict=True)]
    assert changed[0]
    assert changed[-1]
    assert not any(changed[COVERED[3] : COVERED[-3]])
