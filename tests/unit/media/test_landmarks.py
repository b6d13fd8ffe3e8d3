from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import cv2
import numpy as np
import pytest

from cmet.corpora.sample.corpus import list_clips, render_clip
from cmet.media.landmarks import Region, find_faces, small_face_region, track_landmarks
from cmet.media.video import read_video
from cmet.params import Params

NUM_FRAMES = 6


@pytest.fixture(scope="module")
def faces(params: Params, tmp_path_factory: pytest.TempPathFactory) -> list[np.ndarray]:
    """A few frames of two rendered actors."""
    folder: Path = tmp_path_factory.mktemp("faces")
    jobs = {job["speaker"]: job for job in list_clips(params.sample, seed=3)}
    chosen = list(jobs.values())[:2]
    for job in chosen:
        render_clip(job, folder)
    return [read_video(folder / f"{job['clip_id']}.mp4", range(NUM_FRAMES)).frames for job in chosen]


def test_a_clip_has_the_same_track_whatever_was_tracked_before_it(faces: list[np.ndarray]) -> None:
    first, second = faces
    alone = track_landmarks(first)
    assert np.isfinite(alone).all()
    track_landmarks(second)
    track_landmarks(np.repeat(second, 2, axis=1)[:, :, ::2])
    np.testing.assert_array_equal(track_landmarks(first), alone)


def test_a_frame_without_a_face_is_nan_and_the_face_is_found_again(faces: list[np.ndarray]) -> None:
    frames = faces[0].copy()
    frames[2:4] = 0
    is_found = np.isfinite(track_landmarks(frames)).all(axis=(1, 2))
    assert is_found.tolist() == [True, True, False, False, True, True]


def test_boxes_lie_around_the_landmarks_and_an_empty_picture_has_none(faces: list[np.ndarray]) -> None:
    boxes, nothing = find_faces([faces[0][0], np.zeros_like(faces[0][0])])
    assert nothing == []
    (box,) = boxes
    inside = track_landmarks(faces[0][:1])[0, :468, :2].mean(axis=0)
    assert (box[:2] < inside).all()
    assert (inside < box[2:]).all()


def small_in(face: np.ndarray, width: int, height: int, face_px: int, left: int, top: int) -> np.ndarray:
    frame = np.full((height, width, 3), 90, np.uint8)
    frame[top : top + face_px, left : left + face_px] = cv2.resize(face, (face_px, face_px))
    return frame


@pytest.mark.parametrize(
    ("width", "height", "face_px", "left", "top"),
    [(1920, 1080, 220, 300, 600), (1920, 1080, 130, 1700, 40), (1080, 1920, 220, 500, 1500)],
)
def test_a_small_face_is_found_in_a_part_of_the_frame(
    faces: list[np.ndarray], width: int, height: int, face_px: int, left: int, top: int
) -> None:
    frame = small_in(faces[0][0], width, height, face_px, left, top)
    assert next(find_faces([frame])) == []
    region = small_face_region([frame])
    assert region is not None
    (box,) = next(find_faces([frame], region))
    (whole,) = next(find_faces([cv2.resize(faces[0][0], (face_px, face_px))]))
    np.testing.assert_allclose(box, whole + [left, top, left, top], atol=0.06 * face_px)
    assert 0 <= region.left < box[0] and box[2] < region.right <= width
    assert 0 <= region.top < box[1] and box[3] < region.bottom <= height


def test_where_there_is_no_face_there_is_no_region() -> None:
    assert small_face_region([np.full((360, 640, 3), 90, np.uint8)]) is None


def test_a_region_holds_the_faces_of_all_frames(faces: list[np.ndarray]) -> None:
    frames = [small_in(faces[0][0], 1920, 1080, 220, left, 300) for left in (100, 500)]
    first, second, both = (small_face_region(some) for some in (frames[:1], frames[1:], frames))
    assert first and second and both
    assert (both.left, both.right) == (first.left, second.right)
    assert (both.top, both.bottom) == (min(first.top, second.top), max(first.bottom, second.bottom))


def test_a_part_is_put_back_where_it_was() -> None:
    frame, region = np.zeros((40, 60, 3), np.uint8), Region(10, 20, 30, 35)
    assert region.of(frame).shape == (15, 20, 3)
    whole = region.put_back(frame, np.ones((15, 20, 3), np.uint8))
    assert (whole.sum(), whole[20:35, 10:30].sum(), frame.sum()) == (900, 900, 0)


def test_tracks_of_two_threads_at_once_are_those_of_each_alone(faces: list[np.ndarray]) -> None:
    alone = [track_landmarks(video) for video in faces]
    both_look = Barrier(2)

    def in_step(video: np.ndarray) -> np.ndarray:
        return track_landmarks(frame for frame in video if both_look.wait(20) >= 0)

    with ThreadPoolExecutor(2) as threads:
        for track, expected in zip(threads.map(in_step, faces), alone, strict=True):
            np.testing.assert_array_equal(track, expected)
