"""What finished steps were made of."""

from pathlib import Path

import pytest

from cmet.unseen.record import Record, digest_of


def test_a_step_is_finished_as_long_as_it_is_made_of_the_same(tmp_path: Path) -> None:
    record = Record(tmp_path / "new")
    assert not record.has("train", {"seed": 1})
    with record.making("train", {"seed": 1, "methods": ("cmet", "oracle")}):
        pass
    assert record.has("train", {"methods": ("cmet", "oracle"), "seed": 1})
    assert not record.has("train", {"seed": 2, "methods": ("cmet", "oracle")})
    assert not record.has("edits", {"seed": 1, "methods": ("cmet", "oracle")})


def test_a_step_that_breaks_off_is_not_finished_nor_is_what_it_replaces(tmp_path: Path) -> None:
    record = Record(tmp_path)
    with record.making("data", {}):
        pass
    with record.making("train", {"seed": 1}):
        pass
    with pytest.raises(KeyboardInterrupt), record.making("train", {"seed": 2}):
        # the output of seed 2 may be there already: it is not that of seed 1 any more
        raise KeyboardInterrupt
    assert not record.has("train", {"seed": 1})
    assert not record.has("train", {"seed": 2})
    assert record.has("data", {})


def test_one_digest_stands_for_all_that_a_step_was_made_of() -> None:
    assert digest_of({"a": 1, "b": (2, 3)}) == digest_of({"b": [2, 3], "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": 2})
