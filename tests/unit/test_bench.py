"""Choosing parts of `make bench`, and its table."""

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.bench import PARTS, Bench, NotHere, Part, at_least, at_most, chosen, keep, main, measured

FEW = at_most("FID, both kinds, against an independent computation", "millionths", 1)


def names(words: str) -> list[str]:
    return [target.name for part in chosen(words) for target in part.targets]


def test_every_figure_has_its_own_name() -> None:
    assert [name for name, number in Counter(names("")).items() if number > 1] == []
    assert chosen("") == chosen(" , ") == list(PARTS)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("judge", ["judge at 112 px, one core, reading included"]),
        ("tests/bench_judge.py", ["judge at 112 px, one core, reading included"]),
        ("bench_judge", ["judge at 112 px, one core, reading included"]),
        ("fid", [FEW.name]),
        ("FID, both kinds, against an independent computation", [FEW.name]),
        ("warp, fid", ["warp rendering, 256x256, one core", FEW.name]),
        ("data waiting", ["training step relative to a plain loop", "data waiting, share of the step"]),
    ],
)
def test_parts_are_asked_for_by_their_name_or_a_word_of_a_figure(words: str, found: list[str]) -> None:
    assert names(words) == found


def test_what_is_not_there_is_named_with_what_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["fid,spleen,liver"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "no part or figure is named like spleen, liver" in said
    assert "judge       judge at 112 px, one core, reading included" in said


def test_a_question_mark_lists_all_parts(capsys: pytest.CaptureFixture[str]) -> None:
    main(["?"])
    assert len(capsys.readouterr().out.splitlines()) == len(names(""))


def test_figures_measured_earlier_stay_in_the_table(tmp_path: Path) -> None:
    older, other = FEW.row(0.5), at_least("warp rendering, 256x256, one core", "frames/s", 100).row(120)
    table = tmp_path / "reports" / "bench.json"
    keep([older, other], table)
    again = FEW.row(2.0)
    keep([again], table)
    assert json.loads(table.read_text()) == [asdict(other), asdict(again)]
    assert (older.met, again.met, other.met) == (True, False, True)


def test_a_figure_that_no_part_measures_any_more_leaves_the_table(tmp_path: Path) -> None:
    keep([at_most("a figure of the past", "s", 1).row(1)], tmp_path / "bench.json")
    assert json.loads((tmp_path / "bench.json").read_text()) == []


def test_what_is_not_on_this_machine_is_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def absent(bench: Bench) -> float:
        raise NotHere("../shared/real is not here")
        yield

    parts = [Part("media", (at_least("far", "s", 1),), absent), Part("x", (FEW,), lambda bench: iter([0.1]))]
    assert [row.name for row in measured(parts, Bench(tmp_path, None))] == [FEW.name]
    assert "far: not measured, ../shared/real is not here" in capsys.readouterr().out
