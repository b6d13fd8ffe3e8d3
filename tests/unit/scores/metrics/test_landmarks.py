"""Distances of landmarks."""

from pathlib import Path

import numpy as np
import pytest

from cmet.corpora.sample.corpus import list_clips, render_clip
from cmet.errors import ClipError
from cmet.media.video import read_video, write_video
from cmet.params import Params
from cmet.scores.metrics.landmarks import (
    EYE_CORNERS,
    MOUTH,
    NUM_FRAMES,
    LandmarkDistances,
    look_at_clip,
    point_distances,
)
from cmet.scores.metrics.metric import Shown
from tests.unit.backbones.faces import made_faces

LENGTH = 24
SHORTER = 20


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    """Landmarks of a face that speaks, seen from the front, shape (8, 468, 3)."""
    track = made_faces()["neutral"]["M000"][0][:NUM_FRAMES, :468]
    track[:, EYE_CORNERS[0]], track[:, EYE_CORNERS[1]] = [60, 100, 10], [160, 100, 10]
    return track


@pytest.fixture(scope="module")
def clips(params: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A neutral and a happy take of a rendered actor, a shorter cut of the neutral one, black frames, no video."""
    folder: Path = tmp_path_factory.mktemp("faces")
    jobs = {job["emotion"]: job for job in reversed(list_clips(params.sample, seed=3)) if job["number"] == 0}
    for emotion in ("neutral", "happy"):
        render_clip(jobs[emotion], folder)
        frames = read_video(folder / f"{jobs[emotion]['clip_id']}.mp4", range(LENGTH)).frames
        write_video(folder / f"{emotion}.mp4", frames, 25)
        if emotion == "neutral":
            write_video(folder / "short.mp4", frames[:SHORTER], 25)
            (folder / "copy.mp4").write_bytes((folder / "neutral.mp4").read_bytes())
            frames[0] = 0
            write_video(folder / "first_black.mp4", frames, 25)
    write_video(folder / "black.mp4", np.zeros((LENGTH, 128, 128, 3), np.uint8), 25)
    (folder / "text.mp4").write_text("no video", encoding="utf-8")
    (folder / "text_again.mp4").write_text("no video", encoding="utf-8")
    return folder


def looked_at(video: Path, folder: Path, spread: int | None = None) -> np.ndarray:
    look_at_clip({"clip_id": video.stem, "video": str(video), "spread": spread}, folder)
    return np.load(folder / f"{video.stem}.npy")


def turned(track: np.ndarray, degrees: float) -> np.ndarray:
    """The same face further to the right, larger, and with the head tilted and turned away."""
    a, b = np.radians(degrees), np.radians(degrees / 2)
    tilt = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    turn = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    return 1.3 * track @ (turn @ tilt).T + [40, -20, 5]


def test_the_mouth_is_what_mediapipe_calls_the_lips() -> None:
    from mediapipe.tasks.python.vision import FaceLandmarksConnections

    lips = FaceLandmarksConnections.FACE_LANDMARKS_LIPS
    assert set(MOUTH) == {point for edge in lips for point in (edge.start, edge.end)}


def test_a_face_is_at_no_distance_from_itself(face: np.ndarray) -> None:
    assert point_distances(face, face).max() == 0


@pytest.mark.parametrize("degrees", [0, 15, -30])
def test_head_pose_place_and_scale_do_not_count(face: np.ndarray, degrees: float) -> None:
    assert point_distances(turned(face, degrees), face).max() < 1e-9


@pytest.mark.parametrize("degrees", [0, 20])
def test_a_moved_mouth_counts_in_shares_of_the_distance_between_the_eyes(face: np.ndarray, degrees: float) -> None:
    moved = face.copy()
    moved[:, MOUTH, 1] += 10  # the eye corners are 100 pixels apart
    distances = point_distances(turned(moved, degrees), face)
    assert distances[MOUTH] == pytest.approx(0.1, rel=1e-4)
    assert distances.mean() == pytest.approx(0.1 * len(MOUTH) / 468, rel=1e-4)


def test_pairs_of_frames_without_a_face_are_left_out(face: np.ndarray) -> None:
    moved = face.copy()
    moved[:2, MOUTH] += 50
    moved[2], other = np.nan, face.copy()
    other[:2] = np.nan
    assert point_distances(moved, other).max() == 0


def test_faces_that_are_never_seen_together_have_no_distance(face: np.ndarray) -> None:
    first, second = face.copy(), face.copy()
    first[:4], second[4:] = np.nan, np.nan
    with pytest.raises(ClipError, match="no_face: no frame shows a face in both"):
        point_distances(first, second)


def test_frames_are_taken_by_the_rule_of_the_judge_and_found_anew_each_time(clips: Path, tmp_path: Path) -> None:
    track = looked_at(clips / "neutral.mp4", tmp_path)
    # int(24 / 8 * i)
    write_video(tmp_path / "eight.mp4", read_video(clips / "neutral.mp4", range(0, LENGTH, 3)).frames, 25, crf=0)
    again = looked_at(tmp_path / "eight.mp4", tmp_path)
    assert np.isfinite(track).all()
    assert point_distances(again, track).max() < 0.01
    np.testing.assert_array_equal(looked_at(clips / "neutral.mp4", tmp_path), track)


def test_frames_past_the_end_and_frames_without_a_face_are_nan(clips: Path, tmp_path: Path) -> None:
    seen = np.isfinite(looked_at(clips / "first_black.mp4", tmp_path)).all(axis=(1, 2))
    assert seen.tolist() == [False] + [True] * 3
    seen = np.isfinite(looked_at(clips / "short.mp4", tmp_path, spread=LENGTH + 8)).all(axis=(1, 2))
    assert seen.tolist() == [True] * 3 + [False]  # 0, 8, 16 and 24 of 20 frames


def test_clips_are_measured_and_every_failure_has_its_reason(clips: Path) -> None:
    neutral, happy = clips / "neutral.mp4", clips / "happy.mp4"
    cases = {
        "same": Shown(happy, happy, happy, None),
        "unedited": Shown(neutral, happy, neutral, None),
        "copy": Shown(clips / "copy.mp4", happy, neutral, None),
        "cut": Shown(clips / "short.mp4", happy, neutral, None),
        "no_source": Shown(neutral, happy, None, None),
        "no_truth": Shown(neutral, None, neutral, None),
        "black": Shown(clips / "black.mp4", happy, neutral, None),
        "text": Shown(clips / "text.mp4", happy, neutral, None),
        "text_again": Shown(clips / "text_again.mp4", happy, neutral, None),
        "missing": Shown(neutral, clips / "missing.mp4", neutral, None),
        "missing_too": Shown(clips / "missing_too.mp4", happy, neutral, None),
    }
    measured = LandmarkDistances.load(Path("weights")).measure(list(cases.values()), "landmarks")
    found = dict(zip(cases, measured.per_clip, strict=True))
    assert measured.of_set == {}
    values = {name: value for name, value in found.items() if not isinstance(value, ClipError)}
    reasons = {name: str(value) for name, value in found.items() if isinstance(value, ClipError)}

    assert values["same"] == dict.fromkeys(LandmarkDistances.NAMES, 0.0)
    assert values["unedited"]["lmd/lips_moved"] == 0
    assert values["unedited"]["lmd/mouth"] > 0.02
    assert values["unedited"]["lmd/face"] > 0.01
    assert values["copy"] == values["unedited"]
    # in step frame by frame, though at equal shares of its length it would not be
    assert values["cut"]["lmd/lips_moved"] < 0.2 * values["cut"]["lmd/mouth"]
    assert set(values["no_source"]) == {"lmd/mouth", "lmd/face"}

    assert reasons["no_truth"] == "no_truth: neutral.mp4 has no true clip to compare with"
    assert reasons["black"] == "no_face: black.mp4 shows no face in any of 4 frames"
    assert reasons["text"].startswith("unreadable_video: text.mp4")
    assert reasons["text_again"].endswith("; text_again.mp4 has the same bytes")
    assert reasons["missing"] == "missing_video: missing.mp4 does not exist"
    assert reasons["missing_too"] == "missing_video: missing_too.mp4 does not exist"


def test_nothing_to_compare_starts_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("cmet.engine.clip_map.ClipMap.run", lambda *_: pytest.fail("a pool was started"))
    (error,) = LandmarkDistances().measure([Shown(tmp_path / "a.mp4", None, None, None)], "landmarks").per_clip
    assert isinstance(error, ClipError)


def test_real_faces_of_different_emotions_differ(real: Path, tmp_path: Path) -> None:
    videos = [real / "clips" / f"mead_{emotion}_cropped.mp4" for emotion in ("happy", "surprised", "fear")]
    happy, surprised, fear = (looked_at(video, tmp_path) for video in videos)
    assert point_distances(happy, happy).max() == 0
    for other in (surprised, fear):
        assert point_distances(happy, other)[MOUTH].mean() > 0.03
        assert point_distances(happy, other).mean() > 0.015
