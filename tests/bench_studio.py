"""How long the page of `cmet studio` lets people wait, and what stays behind when many edits are made on it."""

import shutil
import statistics
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.bench_editing import write_720p
from tests.browser.conftest import NAMES
from tests.browser.studio import ServedStudio, StudioVisitor, served_studio, write_long

NUM_PREVIEWS, NUM_EDITS = 20, 20
SHORT_FRAMES = 30

SHOWN_MS = """([id, value]) => new Promise(shown => {
  const pictures = () => [...document.querySelectorAll('#still img')];
  const knob = document.querySelector(`#${id} input[type=range]`), before = pictures().map(one => one.src).join();
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(knob, value);
  knob.dispatchEvent(new Event('input', {bubbles: true}));
  let begun;
  document.querySelector('#still').addEventListener('load', function seen() {
    const now = pictures();
    if (now.map(one => one.src).join() === before || !now.every(one => one.complete)) return;
    document.querySelector('#still').removeEventListener('load', seen, true);
    shown(performance.now() - begun);
  }, true);
  setTimeout(() => {
    begun = performance.now();
    knob.dispatchEvent(new PointerEvent("pointerup", {bubbles: true}));
  }, 50);
})"""
"""Milliseconds from letting go of a slider at a value to the load of the picture that shows it."""


@dataclass(frozen=True)
class StudioUse:
    """What was measured."""

    ready_s: float
    """From the command to the page with its fields in the browser."""
    preview_s: float
    memory_growth: float
    num_files_more: int


def use_studio(face: Path, scratch: Path) -> StudioUse:
    """Serve the page and use it in a browser.

    Args:
        face: A talking head.
        scratch: Folder for videos and what the page keeps.
    """
    large, short = scratch / "720p.mp4", scratch / "short.mp4"
    write_720p(face, large)
    write_long(face, short, SHORT_FRAMES)
    path = next(found for name in NAMES if (found := shutil.which(name)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        with served_studio(scratch) as studio:
            ready_s = studio.ready_s + _open_s(browser, studio)
            preview_s = _preview_s(StudioVisitor(browser.new_page(), studio.url), large)
            growth, num_more = _after_many(StudioVisitor(browser.new_page(), studio.url), studio, short)
        browser.close()
    return StudioUse(ready_s, preview_s, growth, num_more)


def _open_s(browser: Browser, studio: ServedStudio) -> float:
    """From the address to the field for the video."""
    page = browser.new_page()
    StudioVisitor(page, studio.url)
    shown_ms = float(page.evaluate("performance.now()"))
    page.close()
    return shown_ms / 1000


def _preview_s(visitor: StudioVisitor, video: Path) -> float:
    visitor.open(video)
    visitor.choose("happy")
    moves = [
        ("moment", 0.4 * number) if number % 2 else ("strength", 0.1 * number) for number in range(NUM_PREVIEWS + 2)
    ]
    taken_ms = [float(visitor.page.evaluate(SHOWN_MS, [slider, str(value)])) for slider, value in moves]
    # the first two warm it up
    return statistics.median(taken_ms[2:]) / 1000


def _after_many(visitor: StudioVisitor, studio: ServedStudio, video: Path) -> tuple[float, int]:
    """Growth of memory from a quarter of the edits to all, and how many files there are besides their results."""
    visitor.open(video)
    visitor.choose("sad")
    memory, files = [], []
    for _ in range(NUM_EDITS):
        visitor.make()
        memory.append(studio.memory_bytes)
        files.append(len(studio.files))
    return memory[-1] / memory[NUM_EDITS // 4 - 1], files[-1] - files[0] - (NUM_EDITS - 1)
