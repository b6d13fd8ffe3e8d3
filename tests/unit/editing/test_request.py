import json
import os
from pathlib import Path
from typing import Any

import pytest

from cmet.editing.choice import ModelChoice
from cmet.editing.request import EditRequest
from cmet.editing.wishes.options import EditOptions, NamedEmotion, Share
from cmet.editing.wishes.timeline import Segment, Timeline
from cmet.errors import UserError

VALUES = {"form": 1, "video": "v.mp4", "wanted": {"name": "happy"}, "out": "o.mp4"}

REQUESTS = [
    EditRequest(Path("v.mp4"), NamedEmotion("happy"), Path("o.mp4")),
    EditRequest(
        Path(os.fsdecode(b"caf\xe9.mp4")),
        (Path("happy/"), Path("a.wav")),
        Path("o.mp4"),
        (Path("calm.wav"),),
        ModelChoice(model=Path("data/train/facemesh"), backbone="facemesh"),
        EditOptions(
            framing="paste", lips=Path("own"), strength=0.5, then=("neutral", (Path("b"),)), transition="switch"
        ),
        Path("both.mp4"),
    ),
    EditRequest(
        Path("v.mp4"),
        Timeline(
            (
                Segment(0.0, 2.5, (Share(NamedEmotion("happy"), 0.5), Share((Path("a.wav"),), 0.25)), 2.0),
                Segment(3.0, None, (Share("neutral"),)),
            ),
            0.4,
        ),
        Path("o.mp4"),
        (Path("calm.wav"),),
    ),
    EditRequest(Path("v.mp4"), (Share(NamedEmotion("happy"), 0.5), Share(NamedEmotion("sad"), 0.5)), Path("o.mp4")),
    EditRequest(Path("v.mp4"), "neutral", Path("o.mp4"), options=EditOptions(lips="own", then=(NamedEmotion("sad"),))),
]


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_request_that_is_kept_comes_back_the_same(tmp_path: Path, request_: EditRequest) -> None:
    request_.save(tmp_path / "request.json")
    loaded = EditRequest.load(tmp_path / "request.json")
    assert loaded == request_
    assert hash(loaded) == hash(request_)


def test_lists_of_recordings_are_the_same_request_as_tuples() -> None:
    assert EditRequest.of({**VALUES, "wanted": ["a.wav"], "neutral_speech": ["b.wav"]}, "r").wanted == (Path("a.wav"),)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"strenth": 1}, "r.json: unknown key strenth; leave it out"),
        ({"options": {"strenth": 1}}, "r.json: unknown key options.strenth; leave it out"),
        ({"wanted": {"name": "happy", "weight": 1}}, "r.json: unknown key wanted.weight; leave it out"),
        ({"choice": {"inference": {"speed": 1}}}, "r.json: unknown key choice.inference.speed; leave it out"),
        ({"out": None}, "r.json: out: None is not what is expected here"),
        ({"options": {"strength": "much"}}, "r.json: options.strength: much is not what is expected here"),
        ({"options": {"framing": "round"}}, "r.json: options.framing: round is not what is expected here"),
        ({"options": {"then": ["happy"]}}, "r.json: options.then.0: happy is not what is expected here"),
        ({"wanted": {"segments": []}}, "r.json: the timeline changes nothing"),
        ({"wanted": {"segments": [{"start": 0}]}}, "r.json: unknown key wanted.segments.0.start; leave it out"),
        ({"form": 2}, "r.json: form is 2, but this version reads requests of form 1"),
        ({"form": None}, "r.json: form is null, but"),
    ],
)
def test_what_is_no_request_is_told_by_its_key(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as told:
        EditRequest.of({**VALUES, **change}, "r.json")
    assert str(told.value).startswith(said)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (json.dumps({key: one for key, one in VALUES.items() if key != "video"}), "the key video is missing"),
        ("[]", "no request of an edit"),
        ("{", "not readable as JSON"),
        (" " * (1 << 21), "larger than"),
    ],
)
def test_a_file_that_is_no_request_is_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(UserError, match=f"r.json.*{said}"):
        EditRequest.load(tmp_path / "r.json")


def test_names_make_a_request_of_told_emotions() -> None:
    assert [one.is_told for one in REQUESTS] == [True, False, True, True, True]
