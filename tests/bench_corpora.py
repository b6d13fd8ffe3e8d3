"""Corpora at scale: the manifest of all of MEAD, memory while preparing, and being killed at any moment."""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import yaml

from cmet.corpora import mead
from cmet.media.sound import read_sound, write_sound
from cmet.media.video import read_video, write_video
from cmet.outputs import content_digest
from cmet.places import MADE
from tests.processes import tree_bytes

NUM_SHORT_FRAMES = 12
SOURCE_FPS = 30
POLL_S = 0.1
NUM_KILLS = 20
NUM_INTERRUPTS = 50


@dataclass(frozen=True)
class Killed:
    """What was left after many kills."""

    num_kills: int
    is_identical: bool
    num_left_behind: int
    """Files that are no output, and processes that outlived their parent."""
    slowest_s: float
    """Longest time from a signal to the end of the process."""


def scan_all_of_mead(scratch: Path) -> tuple[float, float]:
    """Wall seconds and peak MiB of `cmet manifest` on a tree of MEAD's 31,490 clips, picture and sound, empty files."""
    root = scratch / "mead"
    for clip in mead.expected(root):
        folder = root / f"{clip.speaker}/front/{clip.emotion}/level_{clip.intensity}"
        folder.mkdir(parents=True, exist_ok=True)
        for suffix in ("mp4", "wav"):
            (folder / f"{clip.sentence}.{suffix}").touch()
    project = make_project(scratch / "manifest", "mead", root)
    return run("manifest", project)


def memory_while_preparing(scratch: Path, clip: Path, sizes: tuple[int, int]) -> tuple[float, float]:
    """Peak MiB of `cmet clips` for each of two numbers of clips."""
    peaks = []
    for size in sizes:
        project = short_clips(scratch / f"memory-{size}", clip, size)
        run("manifest", project)
        peaks.append(run("clips", project)[1])
    return peaks[0], peaks[1]


def killed_while_preparing(
    scratch: Path, clip: Path, num_clips: int, cause: signal.Signals, num_kills: int, seed: int = 0
) -> Killed:
    """Kill `cmet clips` again and again, let it end, and compare with a run that nobody disturbed."""
    calm = short_clips(scratch / f"calm-{cause.name}", clip, num_clips)
    run("manifest", calm)
    run("clips", calm)
    # what a shell starts in the background ignores interrupts, and so would what it starts
    signal.signal(signal.SIGINT, signal.default_int_handler)
    project = short_clips(scratch / f"killed-{cause.name}", clip, num_clips)
    run("manifest", project)
    draw = random.Random(seed)
    took_s: list[float] = []
    while len(took_s) < num_kills:
        process = start("clips", project)
        try:
            process.wait(draw.uniform(0.5, 8.0))
            shutil.rmtree(project / "data/clips")
        except subprocess.TimeoutExpired:
            # the parent alone, as an operating system short of memory does it
            os.kill(process.pid, cause)
            sent = time.perf_counter()
            process.wait()
            took_s.append(time.perf_counter() - sent)
    run("clips", project)
    time.sleep(2)
    same = content_digest(calm / "data/clips") == content_digest(project / "data/clips")
    return Killed(len(took_s), same, len(left_behind(project)), max(took_s))


def left_behind(project: Path) -> list[str]:
    """Unfinished files, work folders and processes."""
    work, kept = project / ".work", project / ".work" / MADE
    files = [str(path) for path in work.rglob("*") if path.is_file() and not path.is_relative_to(kept)]
    files += [str(path) for path in project.rglob("*unfinished*")]
    files += [str(path) for path in (project / "tmp").rglob("*") if path.is_file()]
    processes = [process.info for process in psutil.process_iter(["pid", "cwd"]) if process.info["cwd"] == str(project)]
    return files + [f"process {info['pid']}" for info in processes]


def short_clips(folder: Path, clip: Path, number: int) -> Path:
    """A project whose corpus is a table of many names of one short clip."""
    root = folder / "corpus"
    root.mkdir(parents=True)
    short, sound = root / "0.mp4", root / "sound.wav"
    rate = 16_000
    samples = read_sound(clip, rate)
    loudest = int(np.argmax(np.abs(samples)))
    num_samples = round(NUM_SHORT_FRAMES / SOURCE_FPS * rate) + rate // 10
    start_at = max(0, min(loudest - num_samples // 2, len(samples) - num_samples))
    write_sound(sound, samples[start_at : start_at + num_samples], rate)
    write_video(short, read_video(clip, range(NUM_SHORT_FRAMES)).frames, SOURCE_FPS, sound)
    names = ["0.mp4", *(f"{index}.mp4" for index in range(1, number))]
    for name in names[1:]:
        (root / name).hardlink_to(short)
    rows = "".join(f"{name},S{index % 5},sad\n" for index, name in enumerate(names))
    (root / "clips.csv").write_text("video,speaker,emotion\n" + rows, encoding="utf-8")
    return make_project(folder, "table", root)


def make_project(folder: Path, corpus: str, root: Path) -> Path:
    """A folder with a params.yaml for one corpus; clips may be short."""
    folder.mkdir(parents=True, exist_ok=True)
    values = yaml.safe_load((Path(__file__).parents[1] / "params.yaml").read_text(encoding="utf-8"))
    values["manifest"] |= {"corpus": corpus, "root": str(root), "files": str(root)}
    values["clips"] |= {"min_duration_s": 0.1}
    (folder / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    return folder


def start(stage: str, project: Path) -> subprocess.Popen[bytes]:
    """`cmet <stage>` with a temporary folder of its own."""
    (project / "tmp").mkdir(exist_ok=True)
    environment = os.environ | {"TMPDIR": str(project / "tmp")}
    with (project / "log").open("ab") as log:
        command = [sys.executable, "-m", "cmet", stage]
        return subprocess.Popen(command, cwd=project, env=environment, stdout=log, stderr=log)


def run(stage: str, project: Path) -> tuple[float, float]:
    """Wall seconds and peak MiB of a stage and all its processes."""
    started = time.perf_counter()
    process = start(stage, project)
    peak = 0
    while process.poll() is None:
        peak = max(peak, tree_bytes(process.pid))
        time.sleep(POLL_S)
    if process.returncode:
        sys.exit(f"cmet {stage} failed:\n{(project / 'log').read_text(encoding='utf-8')[-3000:]}")
    return time.perf_counter() - started, peak / 2**20


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        print(scan_all_of_mead(Path(name)))
