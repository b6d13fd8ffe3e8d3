"""Records that one room writes and another reads."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from cmet.errors import UserError
from cmet.outputs import write_json
from cmet.records import read_record
from tests.judge_card import CARD


@dataclass(frozen=True)
class Part:
    interval: tuple[float, float] | None
    said: bool | str


@dataclass(frozen=True)
class Whole:
    parts: dict[str, Part]
    n: int


WHOLE = Whole({"b": Part((0.1, 1 / 3), False), "a": Part(None, "not stated")}, 2)


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    write_json(tmp_path / "whole.json", WHOLE)
    assert read_record(tmp_path / "whole.json", Whole, "cmet it") == WHOLE


def test_a_record_is_written_as_the_object_of_its_fields(tmp_path: Path) -> None:
    parts = {"a": {"interval": None, "said": "not stated"}, "b": {"interval": [0.1, 1 / 3], "said": False}}
    write_json(tmp_path / "plain.json", {"whole": {"parts": parts, "n": 2}, "judge": CARD.model_dump()})
    write_json(tmp_path / "records.json", {"whole": WHOLE, "judge": CARD})
    assert (tmp_path / "records.json").read_bytes() == (tmp_path / "plain.json").read_bytes()


def test_what_another_version_added_is_passed_over(tmp_path: Path) -> None:
    write_json(tmp_path / "whole.json", {"parts": {}, "n": 0, "more": 1})
    assert read_record(tmp_path / "whole.json", Whole, "cmet it") == Whole({}, 0)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"parts": {}}', "n"),
        ('{"parts": {"a": {"interval": [1], "said": ""}}, "n": 1}', "parts.a.interval.1"),
        ("[]", "the whole file"),
    ],
)
def test_another_form_is_refused_with_its_place_and_the_next_step(tmp_path: Path, text: str, place: str) -> None:
    path = tmp_path / "whole.json"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        read_record(path, Whole, "cmet it")
    assert str(error.value) == f"{path}: not as this version writes it ({place}); run 'cmet it' again"


@pytest.mark.parametrize(
    ("text", "problem"),
    [("{", "not readable as JSON"), ('{"n": 1, "n": 2}', "the key n is given twice; keep one of them")],
)
def test_what_is_no_json_or_says_a_thing_twice_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "whole.json"
    path.write_text(text)
    with pytest.raises(UserError, match=rf"whole.json: {problem}.*; run 'cmet it' again"):
        read_record(path, Whole, "cmet it")
