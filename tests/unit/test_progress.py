import io
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from cmet.progress import Lines, counted, progress, watching

CMET = Path(__file__).parents[2] / "cmet"


class Clock:
    """A time that passes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def said(clock: Clock, steps: list[tuple[float, int]], total: int | None = 100, done: int = 0) -> list[str]:
    """Lines of work that counts so much after so many seconds each."""
    lines: list[str] = []
    shown = Lines("clips", total, "clip", done, clock, lines.append)
    for seconds, number in steps:
        clock.now_s += seconds
        shown.update(number)
    shown.close()
    return lines


def test_a_line_comes_every_thirty_seconds_and_one_at_the_end() -> None:
    assert said(Clock(), [(1, 2)] * 50) == [
        "clips: 60/100, 2 clip/s, 00:20 left",
        "clips: 100/100 in 00:50, 2 clip/s",
    ]


def test_slow_work_is_told_in_seconds_and_each_step_has_its_line() -> None:
    assert said(Clock(), [(600, 1)] * 2, total=8) == [
        "clips: 1/8, 600 s/clip, 1:10:00 left",
        "clips: 2/8, 600 s/clip, 1:00:00 left",
        "clips: 2/8 in 20:00, 600 s/clip",
    ]


def test_what_was_done_before_counts_for_no_rate() -> None:
    assert said(Clock(), [(40, 10)], done=80) == [
        "clips: 90/100, 4 s/clip, 00:40 left",
        "clips: 90/100 in 00:40, 4 s/clip",
    ]
    assert said(Clock(), [], done=100) == ["clips: 100/100 in 00:00"]


def test_without_a_total_nothing_is_said_of_the_rest() -> None:
    assert said(Clock(), [(30, 1500)], total=None) == [
        "clips: 1500, 50 clip/s",
        "clips: 1500 in 00:30, 50 clip/s",
    ]


def test_values_stand_in_the_lines_after_them() -> None:
    lines: list[str] = []
    clock = Clock()
    shown = Lines("train", 10, "step", 0, clock, lines.append)
    shown.set_postfix({"total": "0.5"}, refresh=False)
    clock.now_s += 30
    shown.update()
    assert lines == ["train: 1/10, 30 s/step, 04:30 left, total 0.5"]


def test_away_from_a_terminal_there_are_lines_and_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(counted("abc", "reading", 3, "letter")) == ["a", "b", "c"]
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("reading: 3/3 in 00:00")
    assert err.count("\n") == 1
    assert "\r" not in err


def test_a_failure_is_told_after_how_far_the_work_had_come(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError), progress("reading", 3, "letter") as shown:
        shown.update()
        raise KeyError
    assert capsys.readouterr().err.startswith("reading: 1/3 in")


def test_nothing_is_shown_of_quiet_and_of_short_passing_work(capsys: pytest.CaptureFixture[str]) -> None:
    list(counted("abc", "reading", 3, "letter", is_quiet=True))
    list(counted("abc", "reading", None, "letter", is_passing=True))
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_there_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress("reading", 3, "letter", 1) as shown:
        shown.update(2)
        shown.set_postfix({"loss": "1"}, refresh=False)
    assert "\rreading: 100%" in terminal.getvalue()
    assert "3/3" in terminal.getvalue()


def test_all_progress_is_shown_in_one_way() -> None:
    users = {path.name for path in CMET.rglob("*.py") if "tqdm" in path.read_text(encoding="utf-8")}
    assert users == {"progress.py"}


@pytest.mark.parametrize("is_quiet", [True, False])
def test_a_watcher_is_told_of_all_progress_quiet_or_not(is_quiet: bool) -> None:
    told: list[tuple[str, int, int | None]] = []
    with watching(lambda *said: told.append(said)):
        assert list(counted("ab", "reading", 2, "letter", is_quiet=is_quiet)) == ["a", "b"]
        with progress("adding", None, "number", 3, is_quiet=is_quiet) as shown:
            shown.update(2)
    list(counted("c", "reading", 1, "letter", is_quiet=True))
    assert told == [("reading", 0, 2), ("reading", 1, 2), ("reading", 2, 2), ("adding", 3, None), ("adding", 5, None)]


def test_what_a_watcher_raises_ends_the_work() -> None:
    def at_most_one(_: str, done: int, __: int | None) -> None:
        if done:
            raise KeyboardInterrupt

    taken = []
    with pytest.raises(KeyboardInterrupt), watching(at_most_one):
        for letter in counted("abc", "reading", 3, "letter", is_quiet=True):
            taken.append(letter)
    assert taken == ["a"]


def test_each_thread_has_a_watcher_of_its_own() -> None:
    def work(name: str) -> list[str]:
        told: list[str] = []
        with watching(lambda label, *_: told.append(label)):
            both_are_here.wait(20)
            list(counted("ab", name, 2, "letter", is_quiet=True))
        return told

    both_are_here = Barrier(2)
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(work, ["one", "other"])) == [["one"] * 3, ["other"] * 3]
