"""How fast clips are prepared, on one core, beside the decoding and scaling that nobody gets around."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import decord

from cmet.clips.one_clip import prepare_clip
from cmet.media.video import VideoFile
from cmet.params import load_params

PARAMS = Path(__file__).parents[1] / "params.yaml"
NUM_RUNS = 3


def prepare_1080p(raw: Path) -> dict[str, float]:
    """Preparing against decoding and scaling alone, in source frames per second.

    Args:
        raw: The `MEAD_raw` folder: 1080p video with sound.
    """
    videos = sorted(raw.rglob("*.mp4"))
    num_frames = sum(len(VideoFile(video)) for video in videos)
    with one_core(), tempfile.TemporaryDirectory() as folder:
        seconds = fastest(
            lambda: [decode_and_scale(video) for video in videos],
            lambda: [prepare(video, Path(folder)) for video in videos],
        )
    decoding, preparing = (num_frames / each for each in seconds)
    return {"decoding_fps": decoding, "preparing_fps": preparing, "share": preparing / decoding}


def prepare_256(clips: Path) -> dict[str, float]:
    """Preparing clips that are 256 px wide, in source frames per second.

    Args:
        clips: A folder with such clips below it, with sound.
    """
    videos = sorted(clips.rglob("*.mp4"))
    num_frames = sum(len(VideoFile(video)) for video in videos)
    with one_core(), tempfile.TemporaryDirectory() as folder:
        (seconds,) = fastest(lambda: [prepare(video, Path(folder)) for video in videos])
    return {"preparing_fps": num_frames / seconds, "num_frames": float(num_frames)}


def decode_and_scale(video: Path) -> None:
    """All frames by decord, scaled to 256x256."""
    reader = decord.VideoReader(str(video), num_threads=1)
    for index in range(len(reader)):
        cv2.resize(reader[index].asnumpy(), (256, 256))


def prepare(video: Path, folder: Path) -> None:
    """One clip, with the settings of the project."""
    settings = load_params(PARAMS).clips.model_dump()
    files = {"video": str(video), "audio": None, "picture": "video/clip.mp4", "sound": "audio/clip.wav"}
    prepare_clip({"clip_id": "clip", **files, **settings}, folder)


def fastest(*tasks: Callable[[], object]) -> list[float]:
    """Seconds of the best of a few rounds of each task, in turn, after one round that does not count."""
    rounds = []
    for _ in range(NUM_RUNS + 1):
        seconds = []
        for task in tasks:
            start = time.perf_counter()
            task()
            seconds.append(time.perf_counter() - start)
        rounds.append(seconds)
    return [min(each) for each in zip(*rounds[1:], strict=True)]


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process and its threads to one core."""
    cores, threads = os.sched_getaffinity(0), cv2.getNumThreads()
    os.sched_setaffinity(0, {max(cores)})
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
        cv2.setNumThreads(threads)
