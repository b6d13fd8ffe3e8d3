"""What an edit costs beside the decoding and encoding that nobody gets around, in core-seconds."""

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from cmet.editing.frames.schedule import there_and_back
from cmet.editing.wishes.options import CRF
from cmet.media.scaling import scaled
from cmet.media.video import VideoFile, read_video, write_video

WIDTH, HEIGHT, FPS, DURATION_S = 1280, 720, 25, 10
NUM_RUNS = 3
BLUR_PX = 9


def edit_720p(face: Path, scratch: Path) -> dict[str, float]:
    """The command `cmet edit` with the built-in model, start-up included, against decoding and encoding, without one.

    Args:
        face: A talking head.
        scratch: Folder for the videos.

    Returns:
        `editing_s` and `coding_s` of a round in the middle, and `times`, their ratio: what else runs on the machine
        makes both slower.
    """
    video = scratch / "talking_head.mp4"
    write_720p(face, video)
    command = [sys.executable, "-m", "cmet", "edit", str(video), "--emotion", "happy", "--quiet"]
    rounds = [
        (core_seconds(lambda: decode_and_encode(video, scratch / "coded.mp4")), run(command, scratch / "edited.mp4"))
        for _ in range(NUM_RUNS)
    ]
    coding_s, editing_s = sorted(rounds, key=lambda each: each[1] / each[0])[NUM_RUNS // 2]
    return {"editing_s": editing_s, "coding_s": coding_s, "times": editing_s / coding_s}


def write_720p(face: Path, out: Path) -> None:
    """A face before a blurred background, there and back for as long as it takes."""
    frames = read_video(face).frames
    shown = [_in_the_middle(frame) for frame in frames]
    write_video(out, (shown[index] for index in there_and_back(len(shown), FPS * DURATION_S)), FPS, face, CRF)


def _in_the_middle(frame: np.ndarray) -> np.ndarray:
    width = min(WIDTH, round(frame.shape[1] * HEIGHT / frame.shape[0]))
    left = (WIDTH - width) // 2
    picture = cv2.GaussianBlur(scaled(frame, WIDTH, HEIGHT), (0, 0), BLUR_PX)
    picture[:, left : left + width] = scaled(frame, width, HEIGHT, cv2.INTER_AREA)
    return picture


def decode_and_encode(video: Path, out: Path) -> None:
    """Write a video anew, as an edit does."""
    file = VideoFile(video)
    write_video(out, file.frames_at(range(len(file))), file.fps, video, CRF, shown=file.colour.shown)


def core_seconds(work: Callable[[], object]) -> float:
    """Time of all cores that this process uses for some work."""
    before = time.process_time()
    work()
    return time.process_time() - before


def run(command: list[str], out: Path) -> float:
    """Core-seconds of an edit in a process of its own."""

    def spent() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before = spent()
    # not in a project, whose own model would be used
    subprocess.run([*command, "--out", str(out)], check=True, cwd=out.parent, stdout=subprocess.DEVNULL)
    return spent() - before
