from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmet.connector.inference import predict_deltas
from cmet.editing.editor import Editor, root_mean_square
from cmet.editing.emotions.known import (
    Course,
    KnownEmotion,
    always_shown,
    check_num_windows,
    emotional_delta,
    know_emotion,
    know_emotions,
    laid_out,
)
from cmet.editing.emotions.transition import Transition
from cmet.editing.wishes.options import EditOptions, Share
from cmet.editing.wishes.timeline import Segment, Timeline
from cmet.errors import ClipError, UserError
from cmet.media.sound import write_sound
from tests.unit.editing.models import noise

SAD_S, ANGRY_S = np.random.default_rng(1).normal(size=(2, 88)).astype(np.float32)
SAD, ANGRY = KnownEmotion("sad", None, SAD_S), KnownEmotion("angry", None, ANGRY_S, clamped_share=0.5)
NEUTRAL = KnownEmotion("neutral", None, None)


def made_codes(num_frames: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(num_frames, 6)).astype(np.float32)


def change_of(
    editor: Editor, *emotions: KnownEmotion, num_frames: int = 23, fps: float = 25.0, **options: float | str
) -> np.ndarray:
    always, wishes = np.ones(num_frames, np.float32), EditOptions(**options)  # type: ignore[arg-type]
    change, _ = emotional_delta(editor, emotions, made_codes(num_frames), fps, always, wishes)
    assert change.shape == (num_frames, 6)
    return change


def test_one_emotion_is_what_was_predicted_times_its_strength(editor: Editor) -> None:
    predicted = editor.predict_delta(made_codes(23), 30.0, SAD_S)
    np.testing.assert_array_equal(change_of(editor, SAD, fps=30.0, strength=0.5), np.float32(0.5) * predicted)


def test_the_connector_hears_another_direction_in_each_window_and_its_strength_goes_along(editor: Editor) -> None:
    connector, codes = editor.bundle.connector, made_codes(23)
    options, always = EditOptions(), np.ones(23, np.float32)
    change, (sad, angry) = emotional_delta(editor, [SAD, ANGRY], codes, 25.0, always, options)
    shares = np.array([1, 0.75, 0.5, 0.25, 0])[:, None]
    predicted = predict_deltas(connector, shares * SAD_S + (1 - shares) * ANGRY_S, codes)
    strengths = np.repeat(shares * sad.strength + (1 - shares) * angry.strength, 5, axis=0)[:23]
    np.testing.assert_allclose(change, strengths * predicted, rtol=1e-5, atol=1e-6)
    # the first window has nothing before it
    np.testing.assert_array_equal(change[:5], change_of(editor, SAD)[:5])


def test_a_faint_emotion_has_a_strength_of_its_own(editor: Editor) -> None:
    sad_size, angry_size = (
        root_mean_square(editor.predict_delta(made_codes(23), 25.0, one)) for one in (SAD_S, ANGRY_S)
    )
    halving = np.full(23, 0.5 / sad_size)
    _, together = emotional_delta(editor, [SAD, ANGRY, NEUTRAL], made_codes(23), 25.0, halving, EditOptions())
    assert together[0].strength == pytest.approx(2) and together[0].mean_change == pytest.approx(1)
    assert together[1].strength == pytest.approx(np.clip(2 * sad_size / angry_size, 1, 3)) != pytest.approx(2)
    assert [one.clamped_share for one in together] == [0, 0.5, 0]
    assert (together[2].name, together[2].mean_change, together[2].strength) == ("neutral", 0, 0)


def test_a_given_strength_is_that_of_all_emotions(editor: Editor) -> None:
    once, twice = (change_of(editor, SAD, ANGRY, NEUTRAL, strength=factor) for factor in (1.0, 2.0))
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-6)


@pytest.mark.parametrize(("fps", "num_still"), [(25.0, 3), (50.0, 6), (12.5, 2)])
def test_neutral_is_no_change_at_all_in_the_last_window_whatever_the_frame_rate(
    editor: Editor, fps: float, num_still: int
) -> None:
    """The last of five windows holds 3 steps of 1/25 s."""
    change = change_of(editor, SAD, NEUTRAL, num_frames=round(23 * fps / 25), fps=fps, transition="smooth")
    still = ~change.any(axis=1)
    assert still[-num_still:].all() and not still[:-num_still].any()
    sizes = [root_mean_square(part) for part in np.array_split(change, 5)]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize(("transition", "num_still"), [("smooth", 0), ("switch", 10)])
def test_a_switch_is_at_the_boundary_of_a_window(editor: Editor, transition: Transition, num_still: int) -> None:
    change = change_of(editor, NEUTRAL, SAD, num_frames=20, transition=transition)
    assert not change[: max(5, num_still)].any() and change[max(5, num_still) :].any(axis=1).all()


def test_what_is_not_there_is_not_changed(editor: Editor) -> None:
    presence = np.linspace(0, 1, 23)
    change, _ = emotional_delta(editor, [SAD, ANGRY], made_codes(23), 25.0, presence, EditOptions(strength=1.0))
    np.testing.assert_allclose(change, change_of(editor, SAD, ANGRY, strength=1.0) * presence[:, None], rtol=1e-6)


def test_a_video_with_fewer_windows_than_emotions_is_refused_with_both_numbers(editor: Editor) -> None:
    three = [SAD, ANGRY, NEUTRAL]
    check_num_windows(editor, three, 11, 25.0)
    check_num_windows(editor, three, 13, 30.0)
    for num_frames, fps in ((10, 25.0), (12, 30.0)):
        said = (
            rf"too_short: {num_frames} frames hold 2 window\(s\) of 0.2 s, but each of the 3 emotions needs one; take"
        )
        with pytest.raises(ClipError, match=said):
            check_num_windows(editor, three, num_frames, fps)


def test_an_emotion_is_named_after_its_first_recording(tmp_path: Path, editor: Editor) -> None:
    paths = [tmp_path / name for name in ("a.wav", "b.wav")]
    for seed, path in enumerate(paths):
        write_sound(path, noise(1.0, seed), 16_000)
    calm_1S = np.zeros((1, 88), np.float32)
    one, both = (know_emotion(editor, some, calm_1S, "--then") for some in (paths[:1], paths))
    assert (one.name, both.name) == (str(paths[0]), f"{paths[0]} and 1 more")
    assert one.delta_S is not None and one.delta_S.shape == (88,)
    # embeddings from zero lie far from what the made model allows
    assert one.clamped_share == np.mean(np.abs(one.delta_S) == editor.bundle.speech_limit_S) > 0
    assert know_emotion(editor, "neutral", calm_1S, "--then").delta_S is None
    with pytest.raises(UserError, match=f"^--then: {tmp_path}/none does not exist"):
        know_emotion(editor, [tmp_path / "none"], calm_1S, "--then")


def timed(known: KnownEmotion, start_s: float, end_s: float | None, ease_s: float = 0.0, **more: float) -> KnownEmotion:
    return replace(known, segment=Segment(start_s, end_s, (Share("neutral"),), **more), ease_s=ease_s)


def test_inside_a_segment_a_face_changes_as_if_its_emotion_were_alone(editor: Editor) -> None:
    change = change_of(editor, timed(SAD, 0.5, 2, 0.4), timed(ANGRY, 2, None, 0.4), num_frames=100)
    sad, angry = change_of(editor, SAD, num_frames=100), change_of(editor, ANGRY, num_frames=100)
    assert not change[:7].any()
    np.testing.assert_allclose(change[18:44], sad[18:44], rtol=1e-5)
    np.testing.assert_allclose(change[56:], angry[56:], rtol=1e-5)
    np.testing.assert_allclose(change[49:51].sum(axis=0), (sad + angry)[49:51].sum(axis=0) / 2, atol=0.1)


def test_one_segment_over_the_whole_video_is_one_emotion(editor: Editor) -> None:
    for segment in (timed(SAD, 0, None), timed(SAD, 0, 4), timed(SAD, 0.1, 3.9)):
        np.testing.assert_array_equal(
            change_of(editor, segment, num_frames=100), change_of(editor, SAD, num_frames=100)
        )


def test_a_segment_has_the_strength_it_names_or_that_of_all(editor: Editor) -> None:
    both = [timed(SAD, 0, 2, strength=0.5), timed(ANGRY, 2, None)]
    always, options = np.ones(100, np.float32), EditOptions(strength=2.0)
    _, reports = emotional_delta(editor, both, made_codes(100), 25.0, always, options)
    assert [(one.name, one.strength, one.start_s, one.end_s) for one in reports] == [
        ("sad", 0.5, 0, 2), ("angry", 2, 2, 4),
    ]  # fmt: skip


def test_gaps_are_no_change_and_shorter_than_a_window_belong_to_what_is_beside(editor: Editor) -> None:
    along = laid_out(editor, [timed(SAD, 0.1, 1), timed(ANGRY, 1.1, 2), timed(SAD, 3, 3.9)], 100, 25.0)
    assert [one.name for one in along] == ["sad", "angry", "neutral", "sad"]
    assert [one.segment and one.segment.start_s for one in along] == [0.1, 1.1, 2, 3]
    assert laid_out(editor, [SAD, ANGRY], 100, 25.0) == [SAD, ANGRY]
    assert [one.name for one in laid_out(editor, [timed(SAD, 1, 2)], 100, 25.0)] == ["neutral", "sad", "neutral"]
    assert always_shown(timed(SAD, 1, 2)).segment == Segment(0, None, (Share("neutral"),))


def test_a_segment_shorter_than_a_window_is_told(editor: Editor) -> None:
    check_num_windows(editor, [timed(SAD, 0, None)], 3, 25.0)
    check_num_windows(editor, [timed(SAD, 1, 1.2)], 100, 25.0)
    with pytest.raises(UserError, match="^segment 2: lasts 0.1 s; give it 0.2 s or more, a window of the model"):
        check_num_windows(editor, [timed(SAD, 0, 1), timed(SAD, 3.9, None)], 100, 25.0)


@pytest.fixture
def voices(tmp_path: Path) -> list[Path]:
    for seed, name in enumerate(("sad.wav", "b.wav")):
        write_sound(tmp_path / name, noise(1.0, seed), 16_000)
    return [tmp_path / "sad.wav", tmp_path / "b.wav"]


def test_a_blend_is_the_mean_of_speech_and_its_weights_are_the_strength(editor: Editor, voices: list[Path]) -> None:
    calm_1S = np.zeros((1, 88), np.float32)
    one, two = (know_emotion(editor, [path], calm_1S, "--speech") for path in voices)
    shares = Share(voices[:1], 0.5), Share(voices[1:], 0.25), Share("neutral", 0.2)
    blend = know_emotion(editor, shares, calm_1S, "--speech")
    assert one.delta_S is not None and two.delta_S is not None and blend.delta_S is not None
    np.testing.assert_allclose(blend.delta_S, (2 * one.delta_S + two.delta_S) / 3, rtol=1e-5)
    assert (blend.weight, blend.name) == (0.75, f"0.5 {voices[0]} + 0.25 {voices[1]} + 0.2 neutral")
    assert blend.heard is not None and len(blend.heard.vectors_NS) == 2
    np.testing.assert_allclose(
        change_of(editor, blend, strength=2.0), change_of(editor, replace(blend, weight=1.0), strength=1.5), rtol=1e-6
    )


def test_a_weighted_emotion_is_a_weaker_one(editor: Editor, voices: list[Path]) -> None:
    calm_1S = np.zeros((1, 88), np.float32)
    half = know_emotion(editor, (Share(voices[:1], 0.5),), calm_1S, "--speech")
    whole = know_emotion(editor, voices[:1], calm_1S, "--speech")
    np.testing.assert_allclose(2 * change_of(editor, half), change_of(editor, whole), rtol=1e-6)


def test_what_a_timeline_names_twice_is_heard_once(editor: Editor, voices: list[Path]) -> None:
    calm_1S = np.zeros((1, 88), np.float32)
    blend = (Share(voices),)
    timeline = Timeline((Segment(0, 1, blend), Segment(1, 2, (Share("neutral"),)), Segment(3, None, blend)), ease_s=0.3)
    first, still, again = know_emotions(editor, timeline, calm_1S, EditOptions())
    assert first.delta_S is again.delta_S and still.delta_S is None
    assert (first.ease_s, again.segment) == (0.3, timeline.segments[2])
    assert know_emotions(editor, timeline, calm_1S, EditOptions(transition="switch"))[0].ease_s == 0
    lost = Timeline((Segment(0, 1, (Share([voices[0].parent / "none.wav"]),), where="t.csv, row 2"),))
    with pytest.raises(UserError, match="^t.csv, row 2: .*none.wav does not exist"):
        know_emotions(editor, lost, calm_1S, EditOptions())


def following(*deltas_S: np.ndarray, start_s: float = 0.0) -> KnownEmotion:
    """Stretches at 1 s, 2 s and so on of a recording that is a second longer."""
    times_s = np.arange(1.0, len(deltas_S) + 1)
    course = Course(np.stack(deltas_S), times_s, len(deltas_S) + 1)
    return replace(timed(SAD, start_s, None), course=course)


@pytest.mark.parametrize("fps", [25.0, 30.0])
def test_a_recording_that_sounds_the_same_all_along_is_one_emotion(editor: Editor, fps: float) -> None:
    followed = change_of(editor, following(SAD_S, SAD_S), num_frames=75, fps=fps)
    np.testing.assert_allclose(followed, change_of(editor, SAD, num_frames=75, fps=fps), rtol=1e-5, atol=1e-6)


def test_a_segment_follows_from_its_own_start(editor: Editor) -> None:
    late = change_of(editor, following(SAD_S, ANGRY_S, start_s=1), num_frames=100)
    sad = change_of(editor, SAD, num_frames=100)
    assert not late[:25].any()
    np.testing.assert_allclose(late[25:50], sad[25:50] * np.linalg.norm(late[30]) / np.linalg.norm(sad[30]), rtol=1e-3)


def test_a_recording_is_heard_stretch_by_stretch_where_it_is_followed(editor: Editor, tmp_path: Path) -> None:
    write_sound(tmp_path / "v.wav", np.concatenate([noise(2.0, 1), 0.1 * noise(2.0, 2)]), 16_000)
    timeline = Timeline.of([tmp_path / "v.wav"]).following
    (known,) = know_emotions(editor, timeline, np.zeros((1, 88), np.float32), EditOptions(is_quiet=True))
    assert known.course is not None and known.course.duration_s == 4
    np.testing.assert_allclose(known.course.times_s, [1, 1.5, 2, 2.5, 3])
    assert known.course.deltas_MS.shape == (5, 88) and np.ptp(known.course.deltas_MS, axis=0).any()
    check_num_windows(editor, [known], 112, 25.0)
    with pytest.raises(UserError, match=r"^segment 1: .*v.wav lasts 4.0 s, but what shall follow it 5.0 s; give"):
        check_num_windows(editor, [known], 125, 25.0)
