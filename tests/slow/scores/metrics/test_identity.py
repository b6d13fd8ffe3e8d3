from pathlib import Path

import numpy as np
import pytest
import torch
from fill import METRICS, fill

from cmet.corpora.sample.corpus import list_clips, render_clip
from cmet.errors import ClipError, UserError
from cmet.media.landmarks import track_landmarks
from cmet.media.video import read_video, write_video
from cmet.params import Params
from cmet.scores.metrics.arcface import ArcFace
from cmet.scores.metrics.identity import (
    TEMPLATE,
    IdentitySimilarity,
    aligned_face,
    alignment,
    five_points,
)
from cmet.scores.metrics.metric import Shown
from cmet.scores.metrics.seen import spaced_frames


@pytest.fixture(scope="module")
def metric() -> IdentitySimilarity:
    network = ArcFace()
    fill(network, METRICS)
    return IdentitySimilarity(network.eval().requires_grad_(False), torch.device("cpu"))


@pytest.fixture(scope="module")
def people(params: Params, tmp_path_factory: pytest.TempPathFactory) -> list[np.ndarray]:
    """A few frames of two rendered actors, far apart in time."""
    folder: Path = tmp_path_factory.mktemp("people")
    jobs = {job["speaker"]: job for job in list_clips(params.sample, seed=3)}
    chosen = list(jobs.values())[:2]
    for job in chosen:
        render_clip(job, folder)
    return [read_video(folder / f"{job['clip_id']}.mp4", [0, 12, 24]).frames for job in chosen]


def write(path: Path, frames: np.ndarray) -> Path:
    write_video(path, frames, 25, crf=0)
    return path


def similarity(metric: IdentitySimilarity, video: Path, source: Path | None) -> float | str:
    (found,) = metric.measure([Shown(video, None, source, None)], "identity").per_clip
    return str(found) if isinstance(found, ClipError) else found["identity_similarity"]


# Alignment


def moved(points: np.ndarray, degrees: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    turn = np.radians(degrees)
    matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return points @ matrix.T + np.array(shift)


@pytest.mark.parametrize(("degrees", "scale", "shift"), [(0, 1, (0, 0)), (35, 2.5, (40, -12)), (-80, 0.4, (300, 7))])
def test_alignment_brings_a_moved_template_back(degrees: float, scale: float, shift: tuple[float, float]) -> None:
    points = moved(TEMPLATE, degrees, scale, shift)
    matrix = alignment(points)
    np.testing.assert_allclose(points @ matrix[:, :2].T + matrix[:, 2], TEMPLATE, atol=1e-9)


def test_alignment_of_any_points_keeps_shapes_and_nothing_is_nearer() -> None:
    random = np.random.default_rng(1)
    points = TEMPLATE + random.normal(0, 8, TEMPLATE.shape)
    matrix = alignment(points)
    turn = matrix[:, :2]
    np.testing.assert_allclose(turn.T @ turn, np.linalg.det(turn) * np.eye(2), atol=1e-12)
    brought = points @ turn.T + matrix[:, 2]
    error = np.square(brought - TEMPLATE).sum()
    for degrees, scale, shift in ((1, 1, (0, 0)), (-1, 1, (0, 0)), (0, 1.01, (0, 0)), (0, 1, (0.2, 0))):
        centre = brought.mean(axis=0)
        other = moved(brought - centre, degrees, scale, shift) + centre
        assert np.square(other - TEMPLATE).sum() > error


def test_the_five_points_of_a_face_lie_near_the_template(people: list[np.ndarray]) -> None:
    points = five_points(track_landmarks(people[0][:1])[0])
    matrix = alignment(points)
    np.testing.assert_allclose(points @ matrix[:, :2].T + matrix[:, 2], TEMPLATE, atol=6)
    # the person's right eye is on the left of the picture
    assert points[0, 0] < points[2, 0] < points[1, 0]


@pytest.mark.parametrize("name", ["mead_happy_cropped", "mead_surprised_cropped", "hdtf_RD_Radio1_000#5"])
def test_the_five_points_of_a_real_face_lie_near_the_template(real: Path, name: str) -> None:
    frame = read_video(real / f"clips/{name}.mp4", [0]).frames[:1]
    points = five_points(track_landmarks(frame)[0])
    matrix = alignment(points)
    np.testing.assert_allclose(points @ matrix[:, :2].T + matrix[:, 2], TEMPLATE, atol=6)


def test_an_aligned_face_has_112_pixels_and_does_not_depend_on_where_it_was(people: list[np.ndarray]) -> None:
    frame = people[0][0]
    face = aligned_face(frame)
    elsewhere = aligned_face(np.pad(frame, ((60, 10), (5, 80), (0, 0)), mode="edge"))
    assert face is not None and elsewhere is not None
    assert face.shape == (112, 112, 3)
    middle = np.s_[30:100, 25:87]
    assert np.abs(face[middle].astype(int) - elsewhere[middle]).mean() < 6


@pytest.mark.parametrize(("num", "expected"), [(1, [0]), (3, [0, 1, 2]), (31, list(range(0, 31, 2)))])
def test_frames_are_evenly_spaced_from_the_first_to_the_last(num: int, expected: list[int]) -> None:
    assert spaced_frames(num) == expected


# Similarity


def test_a_still_clip_is_wholly_like_itself_and_less_like_another_person(
    tmp_path: Path, metric: IdentitySimilarity, people: list[np.ndarray]
) -> None:
    one, other = (write(tmp_path / f"{number}.mp4", person[:1]) for number, person in enumerate(people))
    assert similarity(metric, one, one) == pytest.approx(1, abs=1e-6)
    assert similarity(metric, other, one) < 0.99


def test_the_similarity_is_the_mean_over_frames_to_the_mean_of_the_source(
    tmp_path: Path, metric: IdentitySimilarity, people: list[np.ndarray]
) -> None:
    edited, source = (write(tmp_path / f"{number}.mp4", person[:2]) for number, person in enumerate(people))
    own_KD, source_KD = metric.embeddings(edited).double().numpy(), metric.embeddings(source).double().numpy()
    np.testing.assert_allclose(np.linalg.norm(own_KD, axis=1), 1, atol=1e-6)
    mean_D = source_KD.mean(axis=0)
    cosines = [own_D @ mean_D / np.linalg.norm(own_D) / np.linalg.norm(mean_D) for own_D in own_KD]
    assert similarity(metric, edited, source) == pytest.approx(np.mean(cosines), abs=1e-6)


def test_a_frame_without_a_face_is_left_out(
    tmp_path: Path, metric: IdentitySimilarity, people: list[np.ndarray]
) -> None:
    frames = people[0].copy()
    frames[1] = 0
    assert metric.embeddings(write(tmp_path / "gap.mp4", frames)).shape == (2, 512)


def test_clips_that_cannot_be_compared_get_a_reason_and_do_not_stop_the_others(
    tmp_path: Path, metric: IdentitySimilarity, people: list[np.ndarray]
) -> None:
    good = write(tmp_path / "good.mp4", people[0][:1])
    dark = write(tmp_path / "dark.mp4", np.zeros((2, 256, 256, 3), np.uint8))
    clips = [(good, None), (dark, good), (good, dark), (tmp_path / "none.mp4", good), (good, good)]
    measured = metric.measure([Shown(video, None, source, None) for video, source in clips], "identity")
    *errors, last = measured.per_clip
    assert [str(error) for error in errors] == [
        "no_source: good.mp4 has no neutral source to compare with",
        "no_face: dark.mp4 shows no face in the 2 frames looked at",
        "no_face: dark.mp4 shows no face in the 2 frames looked at",
        "missing_video: none.mp4 does not exist",
    ]
    assert all(isinstance(error, ClipError) for error in errors)
    assert not isinstance(last, ClipError)
    assert measured.of_set == {}


def test_without_the_published_file_there_is_no_metric(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"backbone\.pth .* is missing"):
        IdentitySimilarity.load(tmp_path)
