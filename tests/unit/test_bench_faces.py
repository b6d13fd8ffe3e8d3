"""The table of edited real faces."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from cmet.media.video import write_video
from tests import bench
from tests.bench_faces import (
    EMOTIONS,
    NEUTRAL_CLIP,
    OTHERS,
    TUNED,
    Clip,
    Seen,
    Table,
    compared,
    seen_or_none,
    share_named,
)
from tests.face_shapes import QUANTITIES, RealRange

EXCESS = dict.fromkeys(QUANTITIES, 0.0) | {"upper lip": 0.3, "lower lip": 0.2, "lid opening": 0.1}


def clip(face: str, emotion: str, fer: str, faceapi: str = "neutral", similarity: float = 0.9) -> Clip:
    return Clip(face, emotion, fer, faceapi, similarity, 0.99, 0.4, 0.3, {}, EXCESS, 0.25, 0.5, 1.1)


def table() -> Table:
    """Of faces 1 to 4 all happy ones are named rightly, and by face-api one."""
    clips = [clip(face, "unedited", "neutral", similarity=0.99) for face in (*TUNED, *OTHERS, NEUTRAL_CLIP)]
    clips += [clip(face, emotion, "neutral") for face in (*OTHERS, NEUTRAL_CLIP) for emotion in EMOTIONS]
    for face in TUNED:
        clips += [
            clip(face, emotion, "happy", "happy" if face == "face_1" else "sad", similarity=0.891)
            for emotion in EMOTIONS
        ]
    return Table(clips, {"happy": ("happy", "happy"), "fear": ("surprised", "fear")})


def test_accuracy_is_of_the_faces_and_emotions_that_are_asked_for() -> None:
    assert share_named(table().of(TUNED)) == 0.2
    assert share_named(table().of(TUNED, "happy")) == 1
    assert share_named(table().of(OTHERS)) == 0


def test_edits_of_a_clip_of_mead_stand_beside_true_clips_of_the_same_emotions() -> None:
    assert table().on_mead == (0, 0.5)


def test_each_row_says_what_was_measured_of_its_faces() -> None:
    rows = table().markdown.splitlines()
    assert "| 1 to 4 | happy | 4 of 4 | 1 of 4 | 0.900 | 0.40 (0.30) | 25% (0.30) | 50% (0.10) | 1.10 |" in rows
    assert "| 1 to 4 | unedited |  |  |  | (0.30) | 25% (0.30) | 50% (0.10) | 1.10 |" in rows
    assert "| 1 to 4 | all five | 4 of 20 | 4 of 20 | 0.900 | 0.40 (0.30) | 25% (0.30) | 50% (0.10) | 1.10 |" in rows
    assert rows[-2:] == ["| happy | happy | happy |", "| fear | surprised | fear |"]
    assert len({row.count("|") for row in rows[: rows.index("")]}) == 1


def test_figures_are_in_the_order_of_their_targets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bench, "measure_faces", lambda real, edits: table())
    monkeypatch.setattr(bench, "keep_faces", lambda table: None)
    part = next(part for part in bench.PARTS if part.measure is bench.real_faces)
    here = SimpleNamespace(real=tmp_path, scratch=tmp_path)
    found = [target.row(value) for target, value in zip(part.targets, part.measure(here), strict=True)]  # type: ignore[arg-type]
    # face-api names one happy face of eight, three sad ones, and nothing else
    assert [row.value for row in found] == [0.2, 0, 4, 0, 4, 0.9, 0.4]
    assert [row.met for row in found] == [False, False, False, False, False, True, True]


def test_an_edit_is_compared_with_the_clip_it_was_made_of() -> None:
    draw = np.random.default_rng(0)
    face = draw.normal(size=(478, 3))
    track = face + 0.01 * draw.normal(size=(30, 478, 3))
    own = Seen("neutral", "sad", np.array([[1.0, 0], [0, 1], [1, 0], [1, 0]]), track)
    bounds = RealRange.of([track])
    same = compared("face_1", "unedited", own, own, bounds)
    assert same.jitter == 1
    assert same.own_similarity == pytest.approx(0.5**0.5)
    other = compared("face_1", "happy", own._replace(descriptors=np.array([[-1.0, 0]]), track=2 * track), own, bounds)
    assert other.similarity == pytest.approx(-3 / 10**0.5)
    assert other.identity == pytest.approx(-3 / 5**0.5)
    # a face that is nearer is the same face
    assert other.mouth_out == same.mouth_out
    assert other.jitter == pytest.approx(1)


def test_what_shows_no_face_or_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    write_video(tmp_path / "grey.mp4", [np.full((128, 128, 3), 90, np.uint8)] * 4, 25)
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    assert seen_or_none(tmp_path / "grey.mp4") is None
    assert seen_or_none(tmp_path / "broken.mp4") is None
