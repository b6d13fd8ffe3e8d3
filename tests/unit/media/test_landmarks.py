from pathlib import Path

import numpy as np
import pytest

from cmet.corpora.sample.corpus import list_clips, render_clip
from cmet.media.landmarks import find_faces, track_landmarks
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
