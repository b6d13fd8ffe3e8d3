from pathlib import Path

import pytest

from cmet.editing.wishes.options import NamedEmotion, Share
from cmet.editing.wishes.timeline import Segment, Timeline
from cmet.errors import UserError
from cmet.studio.models import OfferedModel
from cmet.studio.wishes import StudioWishes, Way

MODEL = OfferedModel("facemesh, built in", "facemesh", Path("model"), emotions=("happy", "sad"))
VOICE, CALM = (Path("a.wav"),), (Path("b.wav"),)


def test_one_emotion_is_told_and_several_are_a_blend() -> None:
    assert StudioWishes(MODEL, weights={"happy": 1, "sad": 0}).wanted() == NamedEmotion("happy")
    assert StudioWishes(MODEL, weights={"happy": 0.5, "sad": 0.4}).wanted() == (
        Share(NamedEmotion("happy"), 0.5),
        Share(NamedEmotion("sad"), 0.4),
    )


def test_a_voice_comes_with_a_calm_one() -> None:
    wishes = StudioWishes(MODEL, "voice", speech=VOICE, neutral_speech=CALM)
    assert (wishes.wanted(), wishes.voice, wishes.calm) == (VOICE, VOICE, CALM)


@pytest.mark.parametrize("way", ["name", "times"])
def test_recordings_that_an_edit_does_not_use_are_left_alone(way: Way) -> None:
    wishes = StudioWishes(MODEL, way, {"happy": 1}, VOICE, CALM, [["0", "4", "happy", None]])
    assert (wishes.voice, wishes.calm) == ((), ())


def test_a_face_follows_the_voice() -> None:
    wishes = StudioWishes(MODEL, "voice", speech=VOICE, neutral_speech=CALM, is_following=True)
    assert wishes.wanted() == Timeline((Segment(0, None, (Share(VOICE),), follows=True),))
    assert wishes.calm == CALM


def test_the_table_is_a_timeline() -> None:
    rows = [["4", "0:09", "0.5 happy + 0.4 sad", "1,5"], ["", "", "", ""], ["0", "4", "voice", None]]
    wishes = StudioWishes(MODEL, "times", speech=VOICE, neutral_speech=CALM, rows=rows)
    blend = (Share(NamedEmotion("happy"), 0.5), Share(NamedEmotion("sad"), 0.4))
    assert wishes.wanted() == Timeline((Segment(0, 4, (Share(VOICE),)), Segment(4, 9, blend, 1.5)))
    assert (wishes.voice, wishes.calm) == (VOICE, CALM)


def test_a_line_without_a_start_follows_on_the_one_above() -> None:
    rows = [["", "4", "happy", ""], ["", "9", "sad", ""]]
    timeline = StudioWishes(MODEL, "times", rows=rows).wanted()
    assert isinstance(timeline, Timeline)
    assert [(one.start_s, one.end_s) for one in timeline.segments] == [(0, 4), (4, 9)]
    with pytest.raises(UserError, match="line 2 of the table: the line above has no end"):
        StudioWishes(MODEL, "times", rows=[["", "", "happy", ""], ["", "9", "sad", ""]]).wanted()


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        (StudioWishes(MODEL, weights={"happy": 0}), "choose an emotion"),
        (StudioWishes(MODEL, "voice"), "give a recording of a voice with the emotion"),
        (StudioWishes(MODEL, "voice", speech=VOICE), "give a calm recording too"),
        (StudioWishes(MODEL, "times", rows=[["", "", "", ""]]), "write the times of an emotion into the table"),
        (StudioWishes(MODEL, "times", rows=[["x", "", "happy", ""]]), "line 1 of the table: 'x' is no time"),
        (StudioWishes(MODEL, "times", rows=[["0", "", "happy", "much"]]), "line 1 of the table: 'much' is no strength"),
        (StudioWishes(MODEL, "times", rows=[["0", "", "voice", ""]]), "give a recording of a voice"),
        (
            StudioWishes(MODEL, "times", rows=[["0", "4", "happy", ""], ["3", "5", "sad", ""]]),
            "line 2 of the table: starts at 3 s, before line 1 of the table ends",
        ),
    ],
)  # fmt: skip
def test_what_is_not_given_whole_is_said(wishes: StudioWishes, said: str) -> None:
    with pytest.raises(UserError, match=said):
        wishes.wanted()


def test_strength_and_model_reach_the_edit() -> None:
    wishes = StudioWishes(MODEL, strength=1.2, is_marked=True)
    assert (wishes.options.strength, wishes.options.is_marked, wishes.choice.model) == (1.2, True, Path("model"))
