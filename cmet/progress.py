"""How far work has come: a bar on a terminal; elsewhere, as in logs and captured output, a plain line now and then."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")

EVERY_S = 30.0
"""Between two plain lines."""

PATIENCE_S = 2
"""What is over sooner and passing shows no bar."""


class Progress(Protocol):
    """What work tells while it goes on."""

    def update(self, n: int = 1, /) -> object:
        """Count what has been done since the last time."""

    def set_postfix(self, values: Mapping[str, object], /, *, refresh: bool) -> None:
        """Show values beside the count from its next line on."""


Watcher = Callable[[str, int, int | None], None]
"""Is told what is being done, how much of it is done, and how much there is, None where nobody knows. What it raises
ends the work."""

_WATCHER: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """A block whose progress a watcher is told, quiet or not; that of this thread alone."""
    token = _WATCHER.set(watcher)
    try:
        yield
    finally:
        _WATCHER.reset(token)


class _Told:
    """Progress that a watcher is told besides."""

    def __init__(self, shown: Progress, watcher: Watcher, label: str, total: int | None, done: int) -> None:
        self._shown, self._watcher = shown, watcher
        self._label, self._total, self._done = label, total, done
        watcher(label, done, total)

    def update(self, n: int = 1, /) -> None:
        self._done += n
        self._shown.update(n)
        self._watcher(self._label, self._done, self._total)

    def set_postfix(self, values: Mapping[str, object], /, *, refresh: bool) -> None:
        self._shown.set_postfix(values, refresh=refresh)


class Lines:
    """Progress as lines, at most one each `EVERY_S`, and one at the end."""

    def __init__(
        self,
        label: str,
        total: int | None,
        unit: str,
        done: int = 0,
        clock: Callable[[], float] = time.monotonic,
        say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
    ) -> None:
        """Begin to count; `done` of the total was there before, and does not count for the rate."""
        self._label, self._total, self._unit = label, total, unit
        self._before, self._done = done, done
        self._clock, self._say = clock, say
        self._begun_s = self._said_s = clock()
        self._values: Mapping[str, object] = {}

    def update(self, n: int = 1, /) -> None:
        """Count, and say so when it is time."""
        self._done += n
        if self._clock() - self._said_s >= EVERY_S:
            self._said_s = self._clock()
            self._say(", ".join([self._count(), *self._rate(), *self._rest(), *self._beside()]))

    def set_postfix(self, values: Mapping[str, object], /, *, refresh: bool) -> None:
        """Keep the values for the next line."""
        self._values = values

    def close(self) -> None:
        """Say what it came to."""
        taken = tqdm.format_interval(self._clock() - self._begun_s)
        self._say(", ".join([f"{self._count()} in {taken}", *self._rate(), *self._beside()]))

    def _count(self) -> str:
        total = "" if self._total is None else f"/{self._total}"
        return f"{self._label}: {self._done}{total}"

    def _per_second(self) -> float:
        taken_s = self._clock() - self._begun_s
        return (self._done - self._before) / taken_s if taken_s else 0.0

    def _rate(self) -> list[str]:
        rate = self._per_second()
        if not rate:
            return []
        # 0.02 clip/s says little
        return [f"{_short(rate)} {self._unit}/s" if rate >= 1 else f"{_short(1 / rate)} s/{self._unit}"]

    def _rest(self) -> list[str]:
        rate = self._per_second()
        if self._total is None or not rate:
            return []
        return [f"{tqdm.format_interval(round((self._total - self._done) / rate))} left"]

    def _beside(self) -> list[str]:
        return [f"{name} {value}" for name, value in self._values.items()]


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def said_beside(line: str) -> None:
    """Write a line to stderr, where a bar makes room for it."""
    tqdm.write(line, file=sys.stderr)


@contextmanager
def progress(
    label: str, total: int | None, unit: str, done: int = 0, *, is_quiet: bool = False, is_passing: bool = False
) -> Iterator[Progress]:
    """A block of work whose progress is shown, and told to whoever watches it; see `watching`.

    Args:
        label: What is being done.
        total: How much there is to do; None where nobody knows.
        unit: What is counted, in the singular.
        done: How much of the total was done before.
        is_quiet: Whether nothing is shown.
        is_passing: Whether nothing of it stays to be seen, and nothing is shown of short work.
    """
    if is_quiet or sys.stderr.isatty():
        delay_s = PATIENCE_S if is_passing else 0
        with tqdm(
            total=total, initial=done, desc=label, unit=unit, mininterval=1, disable=is_quiet, delay=delay_s,
            leave=not is_passing,
        ) as bar:  # fmt: skip
            yield _told(bar, label, total, done)
        return
    lines = Lines(label, total, unit, done)
    try:
        yield _told(lines, label, total, done)
    finally:
        if not is_passing:
            lines.close()


def _told(shown: Progress, label: str, total: int | None, done: int) -> Progress:
    watcher = _WATCHER.get()
    return shown if watcher is None else _Told(shown, watcher, label, total, done)


def counted(
    items: Iterable[Item],
    label: str,
    total: int | None,
    unit: str,
    *,
    is_quiet: bool = False,
    is_passing: bool = False,
) -> Iterator[Item]:
    """The items one by one, with the progress of what is done with them, see `progress`."""
    with progress(label, total, unit, is_quiet=is_quiet, is_passing=is_passing) as shown:
        for item in items:
            yield item
            shown.update()
