"""How long the page of `cmet studio` lets people wait, and what stays behind when many edits are made on it."""

import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, sync_playwright

from cmet.media.video import read_video
from tests.bench_editing import write_720p
from tests.browser.conftest import NAMES
from tests.browser.lab import wait_for
from tests.browser.studio import START_S, ServedStudio, StudioVisitor, served_studio, write_long

NUM_PREVIEWS, NUM_EDITS, NUM_EACH = 20, 20, 10
EMOTIONS = ("happy", "sad", "angry", "surprised")
SHORT_FRAMES, SIDE_PX = 30, 500

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
    num_wrong: int
    """Edits of two people at once that are not what the command line makes, to the last pixel."""


def use_studio(face: Path, scratch: Path) -> StudioUse:
    """Serve the page and use it in a browser.

    Args:
        face: A talking head.
        scratch: Folder for videos and what the page keeps.
    """
    large, short = scratch / "720p.mp4", scratch / "short.mp4"
    write_720p(face, large)
    write_long(face, short, SHORT_FRAMES, (SIDE_PX, SIDE_PX))
    path = next(found for name in NAMES if (found := shutil.which(name)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        with served_studio(scratch) as studio:
            ready_s = studio.ready_s + _open_s(browser, studio)
            preview_s = _preview_s(StudioVisitor(browser.new_page(), studio.url), large)
            growth, num_more = _after_many(StudioVisitor(browser.new_page(), studio.url), studio, short)
            num_wrong = _num_wrong(browser, studio, short)
        browser.close()
    return StudioUse(ready_s, preview_s, growth, num_more, num_wrong)


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


def _num_wrong(browser: Browser, studio: ServedStudio, video: Path) -> int:
    """Two people make `NUM_EACH` edits each, at the same time."""
    visitors = [StudioVisitor(browser.new_context().new_page(), studio.url) for _ in range(2)]
    for one in visitors:
        one.open(video)
    wrong = 0
    expected = {emotion: _line(video, emotion) for emotion in EMOTIONS}
    for number in range(NUM_EACH):
        wanted = [EMOTIONS[(number + shift) % len(EMOTIONS)] for shift in range(len(visitors))]
        before = [one.result() for one in visitors]
        for one, emotion in zip(visitors, wanted, strict=True):
            one.choose(emotion)
        for one in visitors:
            one.page.locator("#go").click()
        for one, emotion, old in zip(visitors, wanted, before, strict=True):
            wait_for(lambda one=one, old=old: one.result() not in ("", old), "the videos of both", START_S)
            saved = one.saved(video.parent / "saved")
            wrong += not np.array_equal(read_video(saved).frames, expected[emotion])
    return wrong


def _line(video: Path, emotion: str) -> np.ndarray:
    """Frames that `cmet edit` writes."""
    out = video.parent / f"{emotion}.mp4"
    command = [sys.executable, "-m", "cmet", "edit", str(video), "--emotion", emotion, "--out", str(out), "--quiet"]
    subprocess.run(command, check=True, cwd=video.parent, stdout=subprocess.DEVNULL)
    return read_video(out).frames
