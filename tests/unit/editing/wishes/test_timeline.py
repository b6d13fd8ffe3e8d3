import math
from pathlib import Path

import pytest

from cmet.editing.wishes.options import NamedEmotion, OneEmotion, Share, emotion_said, recordings, shares_of
from cmet.editing.wishes.timeline import Segment, Timeline, with_ends
from cmet.errors import UserError

HAPPY, SAD = (Share(NamedEmotion("happy")),), (Share(NamedEmotion("sad")),)
NEUTRAL = (Share("neutral"),)


def segment(start_s: float, end_s: float | None = None, strength: float | None = None, where: str = "") -> Segment:
    return Segment(start_s, end_s, HAPPY, strength, where=where)


@pytest.mark.parametrize(
    ("segments", "said"),
    [
        ((), "the timeline changes nothing"),
        ((Segment(0, None, NEUTRAL),), "the timeline changes nothing"),
        ((Segment(0, 1, ()), segment(1)), "segment 1: names no emotion; write neutral"),
        ((segment(-1),), "segment 1: starts at -1 s; expected 0 or later"),
        ((segment(math.nan),), "segment 1: starts at nan s"),
        ((segment(2, 2),), "segment 1: ends at 2 s, and starts at 2 s; give it an end after its start"),
        ((segment(0, math.inf),), "segment 1: ends at inf s"),
        ((segment(0, strength=5.1),), "segment 1: a strength of 5.1: expected 0 to 5"),
        ((segment(0, strength=math.nan),), "segment 1: a strength of nan"),
        ((segment(3), segment(2, where="row 7")), r"row 7: starts at 2 s, not after segment 1 \(3 s\)"),
        ((segment(1), segment(1)), r"segment 2: starts at 1 s, not after segment 1 \(1 s\)"),
        ((segment(0, 4), segment(3)), r"segment 2: starts at 3 s, before segment 1 ends \(4 s\); .* as a blend"),
        (tuple(segment(start) for start in range(1001)), "1,001 segments; a timeline has at most 1,000"),
    ],
)
def test_segments_that_make_no_timeline_are_refused(segments: tuple[Segment, ...], said: str) -> None:
    with pytest.raises(UserError, match=f"^{said}"):
        Timeline(segments)


@pytest.mark.parametrize("ease_s", [-0.1, 60.1, math.nan])
def test_a_change_takes_no_time_that_cannot_be(ease_s: float) -> None:
    with pytest.raises(UserError, match="from one segment to the next: expected 0 to 60 s"):
        Timeline((segment(0),), ease_s)


def test_an_open_end_is_the_start_of_the_next_segment_or_the_end_of_the_video() -> None:
    ended = with_ends([segment(0), segment(1, 2), segment(4)], 5.0, 25)
    assert [(one.start_s, one.end_s) for one in ended] == [(0, 1), (1, 2), (4, 5)]


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (segment(0, 5.1), "^segment 1: ends at 5.1 s, but the video lasts 5 s; give it no end, for that of the video"),
        (segment(5, where="t.csv, row 2"), "^t.csv, row 2: starts at 5 s, but the video lasts 5 s; leave it out"),
    ],
)
def test_a_segment_beyond_the_video_is_told(one: Segment, said: str) -> None:
    with pytest.raises(UserError, match=said):
        with_ends([one], 5.0, 25)


def test_an_end_may_lie_a_frame_behind_the_video() -> None:
    assert with_ends([segment(0, 5.04)], 5.0, 25)[0].end_s == 5


@pytest.mark.parametrize("weight", [0, -0.5, 1.1, math.nan, math.inf])
def test_a_weight_is_above_0_and_up_to_1(weight: float) -> None:
    with pytest.raises(UserError, match="expected one above 0, up to 1"):
        Share("neutral", weight)


@pytest.mark.parametrize(
    ("emotion", "said"),
    [
        ("neutral", "neutral"),
        (NamedEmotion("happy"), "happy"),
        ([Path("a"), Path("b")], "a and 1 more"),
        (HAPPY, "happy"),
        ((Share(NamedEmotion("happy"), 0.5), Share((Path("a"),), 0.25)), "0.5 happy + 0.25 a"),
    ],
)
def test_an_emotion_is_called_as_a_person_writes_it(emotion: OneEmotion | tuple[Share, ...], said: str) -> None:
    assert emotion_said(emotion) == said
    assert emotion_said(shares_of(emotion)) == said


def test_recordings_of_a_blend_are_those_of_its_emotions() -> None:
    blend = (Share(NamedEmotion("happy"), 0.5), Share((Path("a"), Path("b"))), Share("neutral"), Share([Path("c")]))
    assert recordings(blend) == (Path("a"), Path("b"), Path("c"))


def test_all_recordings_of_a_timeline_may_be_followed() -> None:
    heard = Segment(0, 1, (Share((Path("a.wav"),)),))
    timeline = Timeline((heard, Segment(1, None, HAPPY))).following
    assert [one.follows for one in timeline.segments] == [True, False]
    with pytest.raises(UserError, match="^--follow: there is no recording to follow; name one with --speech"):
        _ = Timeline.of(NamedEmotion("happy")).following
    both = Segment(0, 1, (Share((Path("a.wav"),), 0.5), Share((Path("b.wav"),), 0.5)))
    with pytest.raises(UserError, match="^segment 1: only one recording by itself can be followed"):
        _ = Timeline((both,)).following
