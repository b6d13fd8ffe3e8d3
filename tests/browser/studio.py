"""The page served as `cmet studio` serves it, for tests and measurements in a browser."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import psutil
from playwright.sync_api import Locator, Page, expect

from cmet.editing.frames.schedule import there_and_back
from cmet.media.video import read_video, write_video
from cmet.trees import all_below
from tests.browser.lab import wait_for

START_S = 180.0
"""It takes some seconds on a quiet machine."""

PATIENCE_MS = 180_000
READY = "cmet studio: "


@dataclass(frozen=True)
class ServedStudio:
    """A running `cmet studio`."""

    url: str
    home: Path
    """Where it keeps files."""
    process: subprocess.Popen[str]
    ready_s: float
    """From the start of the command to the first answer of the page."""

    @property
    def files(self) -> list[Path]:
        """All files that people gave it or that it made."""
        return [path for path, _ in all_below(self.home) if path.is_file() and path.name != ".lock"]

    @property
    def memory_bytes(self) -> int:
        """What it holds in memory."""
        return int(psutil.Process(self.process.pid).memory_info().rss)


@contextmanager
def served_studio(
    folder: Path, *options: str, program: Sequence[str] = (sys.executable, "-m", "cmet")
) -> Iterator[ServedStudio]:
    """`cmet studio` on a free port, in a folder of its own; ended as by Ctrl-C."""
    home, said = folder / "cache", folder / "said.txt"
    environment = os.environ | {"XDG_CACHE_HOME": str(home), "GRADIO_SHARE": "True", "GRADIO_ALLOWED_PATHS": "/"}
    command = [*program, "studio", *options]
    begun_s = time.monotonic()
    with (
        said.open("w") as log,
        subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, text=True) as process,
    ):
        try:
            wait_for(lambda: process.poll() is not None or READY in said.read_text(), "cmet studio", START_S)
            assert process.poll() is None, said.read_text()
            url = said.read_text().partition(READY)[2].split()[0]
            yield ServedStudio(url, home / "cmet/studio", process, time.monotonic() - begun_s)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


class StudioVisitor:
    """What a person does on the page."""

    def __init__(self, page: Page, url: str) -> None:
        """Open it."""
        self.page = page
        page.set_default_timeout(PATIENCE_MS)
        page.goto(url)
        # before that, a file that is given is not heard of
        page.locator("#video input[type=file]").first.wait_for(state="attached")

    def give(self, video: Path) -> None:
        """Drop a video; it may be refused."""
        self.page.locator("#video input[type=file]").first.set_input_files(video)

    def open(self, video: Path) -> None:
        """Give a video and wait until it is read."""
        self.give(video)
        self.wait_until_read()

    def wait_until_read(self) -> None:
        """The video that was given can be looked at."""
        self.emotion("happy").wait_for()
        self.stills.first.wait_for()

    def emotion(self, name: str) -> Locator:
        """The button of an emotion."""
        return self.page.locator("#emotion label").filter(has_text=name)

    @property
    def stills(self) -> Locator:
        """The two pictures of the preview."""
        return self.page.locator("#still img")

    def shown(self) -> list[str]:
        """Addresses of these pictures."""
        return [str(one.get_attribute("src")) for one in self.stills.all()]

    def choose(self, name: str) -> None:
        """Press an emotion, and wait for its picture."""
        before = self.shown()
        self.emotion(name).click()
        wait_for(lambda: self.shown() != before, f"the preview of {name}", START_S)

    def press(self, key: str, slider: str) -> None:
        """Move a slider by its keyboard, as one lets go of it."""
        knob = self.page.locator(f"#{slider} input[type=range]")
        knob.focus()
        knob.press(key)
        knob.dispatch_event("pointerup")

    def write(self, cell: str, text: str) -> None:
        """Type into a cell of the table of times: `1-0` is the first of the second line."""
        place = self.page.locator(f"#times [data-testid='cell-{cell}']")
        place.dblclick()
        place.locator("textarea, input").fill(text)
        self.page.keyboard.press("Enter")
        expect(place).to_contain_text(text)

    def make(self) -> str:
        """Make the video; its address."""
        before = self.result()
        self.page.locator("#go").click()
        wait_for(lambda: self.result() not in ("", before), "the video", START_S)
        return self.result()

    def result(self) -> str:
        """Address of the video that was made last."""
        video = self.page.locator("#after video")
        return str(video.get_attribute("src") or "") if video.count() else ""

    def saved(self, folder: Path) -> Path:
        """The result as it is downloaded."""
        with self.page.expect_download() as download:
            self.page.locator("#save").click()
        path = folder / download.value.suggested_filename
        download.value.save_as(path)
        return path


def write_long(face: Path, out: Path, num_frames: int, size: tuple[int, int] | None = None) -> Path:
    """A video of a face that goes there and back, of another size where one is given (width, height)."""
    frames = read_video(face).frames
    if size is not None:
        frames = np.stack([cv2.resize(frame, size) for frame in frames])
    write_video(out, (frames[index] for index in there_and_back(len(frames), num_frames)), 25, face, 20)
    return out
