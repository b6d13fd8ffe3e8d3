import cv2
import numpy as np
import pytest

from cmet.clips.crop import (
    CROP_RULES,
    choose_track,
    clipped_cut,
    face_tracks,
    iou,
    mirrored_cut,
    outside_share,
    square_around,
)
from cmet.errors import ClipError

BOX = np.array([100.0, 80.0, 180.0, 200.0])
AWAY = BOX + 300
SMALL = np.array([0.0, 0.0, 40.0, 40.0])


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
    ("other", "expected"), [(BOX, 1.0), (AWAY, 0.0), (BOX + np.array([40, 0, 40, 0]), 1 / 3), (BOX + [80, 0, 80, 0], 0)]
)
def test_overlap_of_boxes(other: np.ndarray, expected: float) -> None:
    assert iou(BOX, other) == pytest.approx(expected)


def test_two_faces_are_two_tracks_in_whatever_order_they_are_found() -> None:
    tracks = face_tracks([[BOX, AWAY], [AWAY + 2, BOX + 2], [BOX + 4]])
    assert [len(track) for track in tracks] == [3, 2]
    assert np.stack(tracks[0].boxes)[:, 0].tolist() == [100, 102, 104]


def test_a_face_goes_on_after_frames_that_miss_it() -> None:
    assert [len(track) for track in face_tracks([[BOX], [], [], [BOX + 3]])] == [2]


def test_a_face_that_leaves_its_first_box_is_another_track() -> None:
    # a shift by 40 px leaves an overlap of a fifth
    steps = [[BOX + 20 * step] for step in range(6)]
    assert [len(track) for track in face_tracks(steps)] == [2, 2, 2]


def test_of_equally_long_tracks_the_larger_face_is_the_first() -> None:
    assert face_tracks([[SMALL, BOX]] * 3)[0].boxes[0] is BOX


@pytest.mark.parametrize(
    ("faces", "said"),
    [
        ([[BOX], [], [], [BOX]], "a face in 50%"),
        ([[], []], "a face in 0%"),
        ([[BOX], [AWAY]], "faces in 2 places, the steadiest in 50%"),
    ],
)
def test_a_clip_without_one_steady_face_is_refused(faces: list[list[np.ndarray]], said: str) -> None:
    with pytest.raises(ClipError, match=f"no_face: {said} of sampled frames; at least 90% is needed"):
        choose_track(face_tracks(faces), len(faces), 0.9)


@pytest.mark.parametrize(
    ("box", "share"),
    [((0, 0, 50, 50), 0), ((-50, 0, 50, 100), 0.5), ((-50, -50, 50, 50), 0.75), ((0, 0, 100, 120), 1 / 6)],
)
def test_the_share_of_the_box_outside_of_the_picture(box: tuple[float, ...], share: float) -> None:
    assert outside_share(np.array(box, float), 100, 100) == pytest.approx(share)


def noise(height: int = 100, width: int = 120) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("box", [(20, 10, 84, 74), (-20, 0, 80, 100), (60, 30, 160, 130), (-30, -40, 140, 130)])
def test_beyond_the_edge_the_picture_is_mirrored_and_keeps_its_aspect(box: tuple[int, ...]) -> None:
    frame, (left, top, right, bottom) = noise(), box
    bordered = cv2.copyMakeBorder(frame, 50, 50, 50, 50, cv2.BORDER_REFLECT_101)
    expected = bordered[top + 50 : bottom + 50, left + 50 : right + 50]
    made = mirrored_cut(np.array(box, float), 120, 100).apply(frame, right - left)
    np.testing.assert_array_equal(made, expected)


def test_the_official_rule_clips_the_box_and_stretches_what_is_left() -> None:
    frame = noise()
    made = clipped_cut(np.array([-20.7, 10.2, 79.9, 110.5]), 120, 100).apply(frame, 64)
    np.testing.assert_array_equal(made, cv2.resize(frame[10:100, 0:79], (64, 64), interpolation=cv2.INTER_AREA))


@pytest.mark.parametrize("rule", CROP_RULES)
@pytest.mark.parametrize("box", [(20, 10, 84, 74), (-20, 5, 70, 95)])
def test_a_part_of_the_frame_gives_the_same_picture_as_the_whole(rule: str, box: tuple[int, ...]) -> None:
    frame = noise()
    cut = CROP_RULES[rule](np.array(box, float), 120, 100)
    left, top, right, bottom = cut.bounds()
    part = frame[top:bottom, left:right]
    np.testing.assert_array_equal(cut.apply(part, 32, left, top), cut.apply(frame, 32))
