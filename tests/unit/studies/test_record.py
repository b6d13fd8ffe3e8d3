"""What finished steps were made of."""

from pathlib import Path

import pytest

from cmet.studies.record import MadeOf, RunRecord


def made_of(seed: int, **facts: object) -> MadeOf:
    return MadeOf({"seed": seed}, {"data/shards": "0f"}, "code", facts)


def test_a_step_is_finished_as_long_as_it_is_made_of_the_same(tmp_path: Path) -> None:
    record = RunRecord(tmp_path / "new")
    assert not record.has("train", made_of(1))
    with record.making("train", made_of(1, methods=("cmet", "oracle"), weights={})):
        pass
    assert record.has("train", made_of(1, weights={}, methods=("cmet", "oracle")))
    assert not record.has("train", made_of(2, weights={}, methods=("cmet", "oracle")))
    assert not record.has("edits", made_of(1, weights={}, methods=("cmet", "oracle")))


def test_a_step_that_breaks_off_is_not_finished_nor_is_what_it_replaces(tmp_path: Path) -> None:
    record = RunRecord(tmp_path)
    for step in ("data", "train"):
        with record.making(step, made_of(1)):
            pass
    with pytest.raises(KeyboardInterrupt), record.making("train", made_of(2)):
        # the output of seed 2 may be there already: it is not that of seed 1 any more
        raise KeyboardInterrupt
    assert not record.has("train", made_of(1))
    assert not record.has("train", made_of(2))
    assert record.has("data", made_of(1))


def test_one_digest_stands_for_all_that_a_step_was_made_of() -> None:
    assert made_of(1, a=1, b=(2, 3)).digest == made_of(1, b=[2, 3], a=1).digest
    others = [made_of(2), MadeOf({"seed": 1}, {}, "code"), MadeOf({"seed": 1}, {"data/shards": "0f"}, "other")]
    others += [made_of(1, a=1), MadeOf({"seed": 1}, {"data/shards": "0f"}, "code", before="shards")]
    assert len({one.digest for one in [made_of(1), *others]}) == 6
