from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmet.editing.built_in import BUILT_IN
from cmet.editing.editor import Editor
from cmet.editing.emotions.known import KnownEmotion, emotional_delta, know_emotion
from cmet.editing.emotions.likeness import (
    DOUBT_MARGIN,
    heard_emotions,
    heard_warnings,
    named_wish,
    warnings_of,
)
from cmet.editing.emotions.speech import Heard
from cmet.editing.video import edit_video
from cmet.editing.wishes.options import NamedEmotion
from cmet.vocabulary import TARGET_EMOTIONS
from tests.unit.editing.emotions.test_named import QUIET


@pytest.fixture(scope="module")
def built_in() -> Editor:
    return Editor.load(BUILT_IN)


def as_heard(editor: Editor, emotion: str, *recordings: str) -> KnownEmotion:
    """An emotion on record as if recordings had shown it."""
    told = know_emotion(editor, NamedEmotion(emotion), None, "")
    heard = Heard(np.zeros((1, editor.bundle.config.speech_width), np.float32))
    assert told.delta_S is not None
    likeness = editor.likeness(told.delta_S)
    return replace(told, name=recordings[0], heard=heard, recordings=tuple(map(Path, recordings)), likeness=likeness)


@pytest.mark.parametrize(
    ("paths", "wish"),
    [
        (["sad"], "sad"),
        (["sad/"], "sad"),
        (["./Sad_take2.wav"], "sad"),
        (["HAPPINESS/take1/a.wav"], "happy"),
        (["joy.wav", "happy/1.wav"], "happy"),
        (["sad/happy.wav"], "happy"),
        (["sad/happy.wav", "sad/b.wav"], None),
        (["happy-sad.wav"], None),
        (["sadly/unhappy.wav"], None),
        (["neutral/a.wav"], None),
        (["a.wav"], None),
        ([], None),
    ],
)
def test_recordings_are_named_after_an_emotion_or_after_none(paths: Sequence[str], wish: str | None) -> None:
    assert named_wish([Path(path) for path in paths]) == wish


@pytest.mark.parametrize("emotion", TARGET_EMOTIONS)
def test_what_is_heard_is_known_before_a_video_is_read(built_in: Editor, emotion: str) -> None:
    likeness = as_heard(built_in, emotion, "a.wav").likeness
    assert next(iter(likeness)) == emotion and likeness[emotion] > 0.8
    # nothing was heard of what was told
    assert know_emotion(built_in, NamedEmotion(emotion), None, "").likeness == {}


def test_what_is_reported_of_an_edit_is_what_was_heard_whatever_the_video(built_in: Editor) -> None:
    happy = as_heard(built_in, "happy", "a.wav")
    codes_TK = np.random.default_rng(0).normal(0, 2, (50, built_in.bundle.config.expression_width)).astype(np.float32)
    delta_TK, (report,) = emotional_delta(built_in, [happy], codes_TK, 25.0, np.ones(50, np.float32), QUIET)
    (heard,) = heard_emotions([happy])
    assert report.likeness == heard.likeness == happy.likeness
    assert built_in.bundle.config.likeness(delta_TK) != report.likeness


def test_a_wish_that_differs_from_what_was_heard_is_told() -> None:
    (said,) = heard_warnings("sad/", {"happy": 0.84, "sad": 0.03, "fear": 0.8}, "sad")
    assert said.startswith("sad/: named sad, but this model hears happy (cosine 0.84, sad 0.03), and that is what")
    assert said.endswith("or take --emotion sad")
    (said,) = heard_warnings("a", {"happy": 0.84}, "sad")
    assert "(cosine 0.84)" in said
    assert heard_warnings("sad/", {"sad": 0.84, "happy": 0.1}, "sad") == []


def test_two_emotions_that_are_close_leave_a_doubt() -> None:
    (said,) = heard_warnings("a.wav", {"fear": 0.1, "surprised": 0.8, "sad": 0.8 - DOUBT_MARGIN + 0.01})
    assert said.startswith(
        "a.wav: this model hears something between surprised and sad (cosines 0.80 and 0.66); give more"
    )
    assert heard_warnings("a.wav", {"surprised": 0.8, "sad": 0.8 - DOUBT_MARGIN - 0.01}) == []
    # of a change that is like none there is a note of its own
    assert heard_warnings("a.wav", {"surprised": 0.4, "sad": 0.39}) == []
    assert heard_warnings("a.wav", {"surprised": 0.8}) == heard_warnings("a.wav", {}, "sad") == []


def test_recordings_of_a_blend_are_looked_at_by_themselves(built_in: Editor) -> None:
    happy, sad = as_heard(built_in, "happy", "happy/"), as_heard(built_in, "happy", "sad/")
    told = know_emotion(built_in, NamedEmotion("sad"), None, "")
    blend = replace(happy, name="both", parts=(happy, sad, told))
    heard = heard_emotions([blend])
    assert [(one.name, one.wish) for one in heard] == [("happy/", "happy"), ("sad/", "sad")]
    (said,) = warnings_of(heard)
    assert said.startswith("sad/: named sad, but this model hears happy")
    # once is enough
    assert heard_emotions([blend, sad]) == heard


def test_a_warning_comes_before_anything_is_changed(
    tmp_path: Path, built_in: Editor, darkening: Path, sounds: dict[str, list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Editor, "likeness", lambda *_: {"sad": 0.9})
    out, said = tmp_path / "out.mp4", []
    report = edit_video(darkening, **sounds, out=out, editor=built_in, options=QUIET,
                        warn=lambda text: said.append((text, out.exists())))  # fmt: skip
    ((text, is_there),) = said
    assert report.warnings == (text,) and not is_there and out.exists()
    assert text.startswith(f"{sounds['speech'][0]}: named happy, but this model hears sad")
    # and what is said of it afterwards is no other hearing
    assert report.likeness == {"sad": 0.9}
