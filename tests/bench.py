"""`make bench`: measure what the project claims, print a table and write reports/bench.json.

Everything is measured in this one run on this machine. The demo is run from the start in a fresh clone that shares the
installed environment; its outputs are compared with those of a second run.
"""

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from cmet.native_logs import silence_native_logs
from tests.bench_backbones import SHORT_S, backbone_speeds, memory_while_streaming
from tests.bench_corpora import killed_while_preparing, memory_while_preparing, scan_all_of_mead
from tests.bench_evaluation import frechet_difference, memory_while_scoring, tables_of_all_of_mead
from tests.bench_judge import judge_speed
from tests.bench_media import prepare_256, prepare_1080p
from tests.bench_speech import opensmile_speedup
from tests.bench_training import killed_while_training, memory_while_reading, sampling_speeds, step_times
from tests.processes import tree_bytes

ROOT = Path(__file__).parents[1]
REAL = ROOT / "../shared/real"
NUM_TRACKED_CLIPS = 12
NUM_JUDGED_CLIPS = 60
TIMED_S = 10.0
MEASURED = ("data/timing", "data/metrics/timing", "data/metrics/report", "reports/index.html")
"""Outputs with seconds in them: how long edits took."""


@dataclass(frozen=True)
class Row:
    """One measured figure."""

    name: str
    value: float
    unit: str
    target: str
    met: bool


def at_least(name: str, value: float, unit: str, target: float) -> Row:
    return Row(name, round(value, 4), unit, f">= {target:g}", value >= target)


def at_most(name: str, value: float, unit: str, target: float) -> Row:
    return Row(name, round(value, 4), unit, f"<= {target:g}", value <= target)


def main() -> None:
    silence_native_logs()
    rows: list[Row] = []
    scratch = Path(tempfile.mkdtemp(prefix="cmet-bench-"))
    try:
        for row in measure(scratch):
            rows.append(row)
            print(
                f"{row.name:<58}{row.value:>10.4g} {row.unit:<10}{row.target:<10}{'met' if row.met else 'MISSED'}",
                flush=True,
            )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        # an hour of measuring is kept whatever comes after it; a run without a row replaces none
        if rows:
            out = ROOT / "reports" / "bench.json"
            out.parent.mkdir(exist_ok=True)
            out.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", encoding="utf-8")
            print(f"\n{out}: {len(rows)} rows")


def measure(scratch: Path) -> Iterator[Row]:
    first, second = scratch / "first", scratch / "second"
    clone(first)
    wall_s, peak_gib = watched(["make", "demo"], first)
    yield at_most("make demo, dependencies installed", wall_s, "s", 480)
    yield at_most("make demo, peak memory of all its processes", peak_gib, "GiB", 6)
    repeat_s, _ = watched(["dvc", "repro"], first)
    yield at_most("dvc repro with nothing changed", repeat_s, "s", 10)
    yield from accuracy_rows(first)
    yield from facemesh_rows(first)
    yield from backbone_rows(scratch)
    yield from evaluation_rows(first, scratch)
    yield from training_rows(scratch)
    yield from corpora_rows(first, scratch)
    yield from media_rows(scratch)
    clone(second)
    watched(["dvc", "repro"], second)
    yield at_most("outputs that differ between two runs of one seed", len(differing(first, second)), "outputs", 0)
    bare = scratch / "bare"
    checkout(bare)
    setup_s, test_s = (timed(["make", target], bare) for target in ("setup", "test"))
    yield at_most("make test, dependencies installed", test_s, "s", 480)
    yield at_most("make test, with installing from uv's cache", setup_s + test_s, "s", 480)


def checkout(folder: Path) -> None:
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)


def clone(folder: Path) -> None:
    """A checkout with this one's dependencies."""
    checkout(folder)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    (folder / ".boot").symlink_to(ROOT / ".boot")
    # the editable installation points to this checkout; its code is the clone's as long as nothing is uncommitted
    (ROOT / ".venv/.ready").touch()


def timed(command: list[str], folder: Path) -> float:
    """Wall seconds, with nothing beside it."""
    started = time.perf_counter()
    with running(command, folder) as process:
        process.wait()
    return time.perf_counter() - started


def watched(command: list[str], folder: Path) -> tuple[float, float]:
    """Wall seconds and the peak memory of the process tree (proportional share of shared pages), GiB."""
    started = time.perf_counter()
    peak = 0
    with running(command, folder) as process:
        while process.poll() is None:
            peak = max(peak, tree_bytes(process.pid))
            time.sleep(0.5)
    return time.perf_counter() - started, peak / 2**30


@contextmanager
def running(command: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A command that has to succeed; what it prints goes to a log."""
    with (folder / "bench.log").open("a") as log:
        # the clone tracks into its own store
        environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
        yield process
    if process.returncode:
        sys.exit(
            f"{' '.join(command)} failed, see {folder / 'bench.log'}:\n{(folder / 'bench.log').read_text()[-3000:]}"
        )


def accuracy_rows(project: Path) -> Iterator[Row]:
    summary = json.loads((project / "reports/summary.json").read_text())
    result = summary["backbones"]["facemesh"]
    accuracy = {method: scores["acc_emo"] for method, scores in result["methods"].items()}
    held_out = result["held_out"]
    num_edits = result["methods"]["cmet"]["n"] + held_out["n"]
    yield at_least("edited test clips per method", num_edits, "clips", 100)
    yield at_least("cmet accuracy relative to oracle", accuracy["cmet"] / accuracy["oracle"], "", 0.85)
    yield at_least("cmet accuracy above neutral", 100 * (accuracy["cmet"] - accuracy["neutral"]), "points", 40)
    yield at_least("held-out emotion, times chance", held_out["acc_emo"] / summary["chance"], "", 2.5)
    yield at_least("judge on true clips", summary["judge"]["acc_ground_truth"], "", 0.85)
    faces = json.loads((project / "data/metrics/expression-facemesh.json").read_text())["face_ratio"]
    yield at_least("sample corpus frames in which the face is found", faces, "", 0.99)


def facemesh_rows(project: Path) -> Iterator[Row]:
    videos = sorted((project / "data/clips/video").glob("*.mp4"))[::40][:NUM_TRACKED_CLIPS]
    model = project / "data/expression/facemesh/model"
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        speeds = pool.starmap(track_and_encode, [(videos[0::2], model), (videos[1::2], model)], chunksize=1)
    yield at_least("landmarks and codes of prepared video, 2 cores", sum(speeds), "frames/s", 200)
    yield at_least("warp rendering, 256x256, one core", render_speed(videos[0], model), "frames/s", 100)


def backbone_rows(scratch: Path) -> Iterator[Row]:
    found = backbone_speeds()
    yield at_least("EDTalk, whole edit against the published procedure", found["edit_speedup"], "times", 3)
    yield at_least("EDTalk, rendering alone", found["rendering_speedup"], "times", 2)
    difference = 1e6 * found["max_difference_relative"]
    yield at_most("EDTalk pictures, largest relative difference", difference, "millionths", 200)
    yield at_least("PD-FGC end to end against its batch-of-8 procedure", found["pdfgc_speedup"], "times", 1.5)
    short = memory_while_streaming(scratch, SHORT_S, is_shortened=False)
    yield at_most(f"EDTalk editing {SHORT_S} s, peak memory", short, "MiB", 2000)
    minute, ten = (memory_while_streaming(scratch, duration_s, is_shortened=True) for duration_s in (60, 600))
    yield at_most("EDTalk editing 60 s, networks' passes shortened, peak memory", minute, "MiB", 3000)
    name = "memory of EDTalk editing 600 s relative to 60 s, networks' passes shortened"
    yield at_most(name, ten / minute, "", 1.1)


def evaluation_rows(project: Path, scratch: Path) -> Iterator[Row]:
    speeds = judge_speed(sorted((project / "data/clips/video").glob("*.mp4"))[:NUM_JUDGED_CLIPS])
    yield at_least("judge at 112 px, one core, reading included", speeds["whole_fps"], "frames/s", 40)
    tables_s = tables_of_all_of_mead(scratch)
    yield at_most("stored predictions of 1143 rows into all tables", tables_s, "s", 20)
    few, many = memory_while_scoring(project, scratch, (50, 500))
    yield at_most("memory of scoring 500 clips relative to 50", many / few, "", 1.1)
    difference = 1e6 * frechet_difference()
    yield at_most("FID, both kinds, against an independent computation", difference, "millionths", 1)


def training_rows(scratch: Path) -> Iterator[Row]:
    drawing = sampling_speeds(scratch)["speedup"]
    yield at_least("drawing training samples against the published procedure", drawing, "times", 100)
    step = step_times()
    yield at_most("training step relative to a plain loop", step["relative"], "", 1)
    yield at_most("data waiting, share of the step", step["data_share"], "", 0.01)
    peak_mib = memory_while_reading(scratch, 30)["peak_mib"]
    yield at_most("reading MEAD's front views for training, peak memory", peak_mib, "MiB", 2048)
    killed = killed_while_training(scratch)
    name = "SIGKILLs while training, the weights the same"
    yield at_least(name, killed.num_kills * killed.is_identical, "kills", 10)


def corpora_rows(project: Path, scratch: Path) -> Iterator[Row]:
    wall_s, peak_mib = scan_all_of_mead(scratch)
    yield at_most("manifest of 31,490 clips of MEAD, empty files", wall_s, "s", 10)
    yield at_most("manifest of 31,490 clips, peak memory", peak_mib, "MiB", 500)
    clip = min((project / "data/sample/corpus").rglob("*.mp4"))
    few, many = memory_while_preparing(scratch, clip, (100, 2000))
    yield at_most("memory of preparing 2000 clips relative to 100", many / few, "", 1.1)
    killed = killed_while_preparing(scratch, clip, 150)
    yield at_least("SIGKILLs while preparing, the output the same", killed.num_kills * killed.is_identical, "kills", 20)
    yield at_most("left behind after the kills", killed.num_left_behind, "things", 0)


def media_rows(scratch: Path) -> Iterator[Row]:
    if not REAL.is_dir():
        print("preparing real video and openSMILE on real speech: not measured, ../shared/real is not here")
        return
    prepared = prepare_1080p(REAL / "MEAD_raw")
    yield at_least("preparing 1080p MEAD, share of decoding and scaling", prepared["share"], "", 0.6)
    yield at_least(
        "preparing 256 px clips, one core", prepare_256(REAL / "MEAD/FPS25")["preparing_fps"], "frames/s", 150
    )
    wavs = sorted((REAL / "MEAD/FPS25").rglob("*.wav"))
    speedup = opensmile_speedup(wavs, scratch / "opensmile")["speedup"]
    yield at_least(f"openSMILE on {len(wavs)} wavs, two processes over one", speedup, "times", 1.7)


def track_and_encode(videos: list[Path], model: Path) -> float:
    """Frames per second of one process, decoding included, start-up not."""
    from cmet.backbones.facemesh.basis import ExpressionBasis
    from cmet.backbones.facemesh.model import FaceMesh
    from cmet.media.video import VideoFile
    from cmet.native_logs import silence_native_logs

    silence_native_logs()
    backbone = FaceMesh(ExpressionBasis.load(model))

    def run(video: Path) -> int:
        file = VideoFile(video)
        return len(backbone.encode(backbone.track(file.frames_at(range(len(file))))))

    run(videos[0])
    return speed(lambda number: run(videos[number % len(videos)]))


def render_speed(video: Path, model: Path) -> float:
    import cv2
    import numpy as np

    from cmet.backbones.facemesh.basis import ExpressionBasis
    from cmet.backbones.facemesh.model import FaceMesh
    from cmet.media.video import read_video

    cv2.setNumThreads(1)
    backbone = FaceMesh(ExpressionBasis.load(model))
    frames = read_video(video).frames
    track = backbone.track(frames)
    codes = backbone.encode(track) + np.linspace(-1, 1, backbone.width, dtype=np.float32)
    list(backbone.render(frames, track, codes))
    return speed(lambda number: sum(1 for _ in backbone.render(frames, track, codes)))


def speed(run: Callable[[int], int]) -> float:
    """Repeat for some seconds; units of work per second."""
    done, number, started = 0, 0, time.perf_counter()
    while time.perf_counter() - started < TIMED_S:
        done += run(number)
        number += 1
    return done / (time.perf_counter() - started)


def differing(first: Path, second: Path) -> list[str]:
    """Outputs whose content hashes differ between the lock files of two runs, but for those with seconds in them."""
    hashes = []
    for project in (first, second):
        stages = yaml.safe_load((project / "dvc.lock").read_text())["stages"]
        outs = [out for stage in stages.values() for out in stage["outs"]]
        hashes.append({out["path"]: out["md5"] for out in outs if not out["path"].startswith(MEASURED)})
    return [path for path in hashes[0] if hashes[0][path] != hashes[1].get(path)]


if __name__ == "__main__":
    main()
