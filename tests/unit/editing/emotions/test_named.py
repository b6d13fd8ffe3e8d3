"""An emotion that is given by its name, with the built-in model."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmet.editing.built_in import BUILT_IN
from cmet.editing.editor import Editor
from cmet.editing.emotions.known import Course, KnownEmotion, emotional_delta, know_emotion
from cmet.editing.video import edit_video
from cmet.editing.wishes.options import EditOptions, NamedEmotion, Share
from cmet.editing.wishes.timeline import Segment, Timeline
from cmet.errors import UserError
from cmet.media.sound import read_sound
from cmet.media.video import read_video
from cmet.vocabulary import TARGET_EMOTIONS

QUIET = EditOptions(is_quiet=True)
STILL = np.zeros((50, 10), np.float32)


@pytest.fixture(scope="module")
def built_in() -> Editor:
    return Editor.load(BUILT_IN)


@pytest.mark.parametrize("emotion", TARGET_EMOTIONS)
def test_a_told_emotion_changes_the_face_as_that_emotion_did_in_training(built_in: Editor, emotion: str) -> None:
    told = know_emotion(built_in, NamedEmotion(emotion), None, "--emotion")
    always = np.ones(len(STILL), np.float32)
    delta_TK, (report,) = emotional_delta(built_in, [told], STILL, 25.0, always, EditOptions())
    likeness = built_in.bundle.config.likeness(delta_TK)
    assert next(iter(likeness)) == emotion and likeness[emotion] > 0.8
    # nothing was heard, so there is nothing that it was taken for
    assert (report.name, report.is_told, report.likeness, report.clamped_share) == (emotion, True, {}, 0)
    assert report.mean_change == pytest.approx(1, abs=0.01) or report.strength == 1


def test_an_edit_with_told_emotions_needs_no_recording(tmp_path: Path, built_in: Editor, darkening: Path) -> None:
    happy = NamedEmotion("happy")
    report = edit_video(darkening, happy, (), tmp_path / "out.mp4", built_in, QUIET)
    assert (report.told_emotion, report.likeness, report.emotions) == ("happy", {}, ())
    assert (tmp_path / "out.mp4").is_file() and report.mean_change > 0.5
    both = edit_video(darkening, happy, (), tmp_path / "out.mp4", built_in, replace(QUIET, then=(NamedEmotion("sad"),)))
    assert both.told_emotion is None
    assert [(one.name, one.is_told, one.likeness) for one in both.emotions] == [("happy", True, {}), ("sad", True, {})]


def test_told_and_heard_emotions_may_follow_each_other(
    tmp_path: Path, built_in: Editor, darkening: Path, sounds: dict[str, list[Path]]
) -> None:
    options = replace(QUIET, then=(sounds["speech"],))
    report = edit_video(
        darkening, NamedEmotion("sad"), sounds["neutral_speech"], tmp_path / "out.mp4", built_in, options
    )
    assert [one.is_told for one in report.emotions] == [True, False]
    assert not report.emotions[0].likeness and set(report.emotions[1].likeness) == set(TARGET_EMOTIONS)


def test_an_emotion_that_the_model_lacks_is_refused_with_those_it_has(
    tmp_path: Path, built_in: Editor, editor: Editor, darkening: Path
) -> None:
    bored, out = NamedEmotion("bored"), tmp_path / "out.mp4"
    known = "angry, contempt, disgusted, fear, happy, sad, surprised"
    with pytest.raises(UserError, match=f"^bored: this model knows {known}$"):
        edit_video(darkening, bored, (), out, built_in, QUIET)
    with pytest.raises(UserError, match="does not record how emotions sound"):
        edit_video(darkening, bored, (), out, editor, QUIET)
    assert not out.exists()


def test_a_timeline_of_one_segment_gives_the_frames_and_the_sound_of_a_plain_edit(
    tmp_path: Path, built_in: Editor, darkening: Path
) -> None:
    plain, timed = tmp_path / "plain.mp4", tmp_path / "timed.mp4"
    happy = NamedEmotion("happy")
    edit_video(darkening, happy, (), plain, built_in, QUIET)
    report = edit_video(darkening, Timeline.of(happy), (), timed, built_in, QUIET)
    np.testing.assert_array_equal(read_video(plain).frames, read_video(timed).frames)
    np.testing.assert_array_equal(read_sound(plain, 16_000), read_sound(timed, 16_000))
    (one,) = report.emotions
    assert (one.name, one.start_s, one.end_s, one.is_told) == ("happy", 0, 7 / 30, True)


def test_an_emotion_that_the_model_lacks_is_told_with_its_segment(
    tmp_path: Path, built_in: Editor, darkening: Path
) -> None:
    bored = Timeline((Segment(0, None, (Share(NamedEmotion("bored")),), where="t.csv, row 2"),))
    with pytest.raises(UserError, match="^t.csv, row 2: bored: this model knows angry, "):
        edit_video(darkening, bored, (), tmp_path / "out.mp4", built_in, QUIET)


def test_a_blend_of_told_emotions_is_like_both(built_in: Editor) -> None:
    blend = (Share(NamedEmotion("happy"), 0.5), Share(NamedEmotion("surprised"), 0.4))
    told = know_emotion(built_in, blend, None, "--emotion")
    always = np.ones(len(STILL), np.float32)
    delta_TK, (report,) = emotional_delta(built_in, [told], STILL, 25.0, always, EditOptions())
    likeness = built_in.bundle.config.likeness(delta_TK)
    assert likeness["happy"] > 0.4 and likeness["surprised"] > 0.4
    assert (report.name, report.is_told, report.likeness) == ("0.5 happy + 0.4 surprised", True, {})
    assert report.mean_change == pytest.approx(0.9, abs=0.01)


def test_a_face_that_follows_goes_from_what_is_heard_first_to_what_is_heard_last_without_a_jump(
    built_in: Editor,
) -> None:
    codes, always, options = np.zeros((100, 10), np.float32), np.ones(100, np.float32), EditOptions(strength=1.0)
    happy, angry = (know_emotion(built_in, NamedEmotion(name), None, "") for name in ("happy", "angry"))
    assert happy.delta_S is not None and angry.delta_S is not None
    course = Course(np.stack([happy.delta_S, angry.delta_S, angry.delta_S]), np.array([1.0, 2.0, 3.0]), 4.0)
    followed = replace(happy, course=course, segment=Segment(0.0, None, (Share("neutral"),)))

    def change(emotion: KnownEmotion) -> np.ndarray:
        return emotional_delta(built_in, [emotion], codes, 25.0, always, options)[0]

    first, last, along = change(happy), change(angry), change(followed)
    np.testing.assert_allclose(along[:25], first[:25], atol=1e-5)
    np.testing.assert_allclose(along[60:], last[60:], atol=0.02)
    steps, apart = np.linalg.norm(np.diff(along, axis=0), axis=1), np.linalg.norm(last[50] - first[50])
    assert steps.max() < 0.15 * apart
