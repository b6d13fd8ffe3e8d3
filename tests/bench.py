"""`make bench`: measure what the project claims, print a table and write reports/bench.json.

Everything is measured, or what is asked for: `make bench ROWS=facemesh,fid` takes the parts of a name and the figures
with a word in theirs, with all that is measured together with them; `ROWS=?` lists what there is. Figures of earlier
runs stay in the table, each with the time it was measured.

The demo is run from the start in a fresh clone that shares the installed environment, or `PROJECT=FOLDER` names one in
which it has run. Its outputs are compared with those of a second run.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import yaml

from cmet.native_logs import silence_native_logs
from tests.bench_backbones import SHORT_S, backbone_speeds, memory_while_streaming
from tests.bench_cluster import NUM_EACH, driver, interruptions, speedups
from tests.bench_corpora import (
    NUM_INTERRUPTS,
    NUM_KILLS,
    killed_while_preparing,
    memory_while_preparing,
    scan_all_of_mead,
)
from tests.bench_dvc import IDLE, idle
from tests.bench_dvc import SIZES as DVC_SIZES
from tests.bench_dvc import table_of as dvc_table
from tests.bench_editing import edit_720p
from tests.bench_evaluation import frechet_difference, memory_while_scoring, tables_of_all_of_mead
from tests.bench_faces import EMOTIONS, FACEAPI_BEFORE, OTHERS, TUNED, share_named
from tests.bench_faces import keep as keep_faces
from tests.bench_faces import measure as measure_faces
from tests.bench_judge import judge_speed
from tests.bench_media import prepare_256, prepare_1080p
from tests.bench_planning import SIZES, planned, table_of
from tests.bench_rounding import COMPARED, SAMPLE, TESTS, measure_rounding
from tests.bench_speech import opensmile_speedup
from tests.bench_studio import NUM_EACH as NUM_STUDIO_EACH
from tests.bench_studio import NUM_EDITS, NUM_PREVIEWS, use_studio
from tests.bench_training import killed_agents, killed_while_training, memory_while_reading, sampling_speeds, step_times
from tests.bench_weights import NUM_KILLS as NUM_DOWNLOAD_KILLS
from tests.bench_weights import SIZE_MIB, killed_while_downloading
from tests.processes import tree_bytes

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "reports/bench.json"
REAL = ROOT / "../shared/real"
NUM_TRACKED_CLIPS = 12
NUM_JUDGED_CLIPS = 60
TIMED_S = 10.0


@dataclass(frozen=True)
class Row:
    """One measured figure."""

    name: str
    value: float
    unit: str
    target: str
    met: bool
    measured: str
    """When, in UTC."""

    def __str__(self) -> str:
        """A line of the printed table."""
        return f"{self.name:<58}{self.value:>10.4g} {self.unit:<10}{self.target:<10}{'met' if self.met else 'MISSED'}"


@dataclass(frozen=True)
class Target:
    """What a figure has to reach."""

    name: str
    unit: str
    bound: float
    is_lower: bool

    def row(self, value: float) -> Row:
        """The figure with what was measured."""
        is_met = value >= self.bound if self.is_lower else value <= self.bound
        measured = datetime.now(UTC).isoformat(timespec="minutes")
        return Row(
            self.name, round(value, 4), self.unit, f"{'>=' if self.is_lower else '<='} {self.bound:g}", is_met, measured
        )


def at_least(name: str, unit: str, bound: float) -> Target:
    return Target(name, unit, bound, is_lower=True)


def at_most(name: str, unit: str, bound: float) -> Target:
    return Target(name, unit, bound, is_lower=False)


class NotHere(Exception):
    """What a part measures is not on this machine."""


class Demo(NamedTuple):
    """A clone in which the demo has run."""

    folder: Path
    wall_s: float
    peak_gib: float


@dataclass
class Bench:
    """What the parts of a run share."""

    scratch: Path
    given: Path | None
    """A folder in which the demo has run, to measure in instead of a clone."""

    @cached_property
    def demo(self) -> Demo:
        """The demo, run once."""
        folder = self.scratch / "first"
        clone(folder)
        return Demo(folder, *watched(["make", "demo"], folder))

    @property
    def project(self) -> Path:
        """Where the outputs of the demo are."""
        return self.given or self.demo.folder

    @property
    def real(self) -> Path:
        """Real video and speech."""
        if not REAL.is_dir():
            raise NotHere("../shared/real is not here")
        return REAL


@dataclass(frozen=True)
class Part:
    """Figures that are measured together."""

    name: str
    """Several parts share one: it is that of a file tests/bench_<name>.py, where there is one."""
    targets: tuple[Target, ...]
    measure: Callable[[Bench], Iterator[float]]
    """Gives the figures in the order of the targets."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.partition("\n")[0])
    parser.add_argument("rows", nargs="?", default="", help="Parts, or words of figures, with commas; ? lists them.")
    parser.add_argument("--project", type=Path, help="A folder in which the demo has run.")
    args = parser.parse_args(arguments)
    if args.rows.strip() == "?":
        print(listing())
        return
    if args.project is not None and not (args.project / "reports/summary.json").is_file():
        parser.error(f"--project: {args.project}: the demo has not run there")
    try:
        parts = chosen(args.rows)
    except LookupError as error:
        parser.error(f"{error}\n{listing()}")
    silence_native_logs()
    rows: list[Row] = []
    scratch = Path(tempfile.mkdtemp(prefix="cmet-bench-"))
    try:
        for row in measured(parts, Bench(scratch, args.project and args.project.resolve())):
            rows.append(row)
            print(row, flush=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        # an hour of measuring is kept whatever comes after it
        if rows:
            keep(rows, TABLE)
            print(f"\n{TABLE}: {len(rows)} rows measured")


def chosen(words: str) -> list[Part]:
    """The parts that are asked for, all where no word is given.

    Args:
        words: Names of parts, also as their files, or pieces of names of figures; with commas between them.

    Raises:
        LookupError: Nothing has a name like that.
    """
    whole = words.strip().lower()
    if any(whole == target.name.lower() for part in PARTS for target in part.targets):
        # a name may have a comma
        asked = [whole]
    else:
        asked = [word.strip() for word in whole.split(",") if word.strip()]
    found = [part for part in PARTS if not asked or any(_is_meant(part, word) for word in asked)]
    unknown = [word for word in asked if not any(_is_meant(part, word) for part in PARTS)]
    if unknown:
        raise LookupError(f"no part or figure is named like {', '.join(unknown)}; there are")
    return found


def _is_meant(part: Part, word: str) -> bool:
    name = word.removeprefix("tests/").removeprefix("bench_").removesuffix(".py")
    if name in {one.name for one in PARTS}:
        return part.name == name
    return any(word in target.name.lower() for target in part.targets)


def listing() -> str:
    """All parts with their figures."""
    lines = [f"{part.name:<12}{target.name}" for part in PARTS for target in part.targets]
    return "\n".join(lines)


def measured(parts: Sequence[Part], bench: Bench) -> Iterator[Row]:
    """Rows of parts as they come."""
    for part in parts:
        try:
            for target, value in zip(part.targets, part.measure(bench), strict=True):
                yield target.row(value)
        except NotHere as error:
            print(f"{', '.join(target.name for target in part.targets)}: not measured, {error}")


def keep(rows: Sequence[Row], table: Path) -> None:
    """Put rows into the table, in which figures that were not measured now stay as they were."""
    older = json.loads(table.read_text(encoding="utf-8")) if table.is_file() else []
    by_name = {row["name"]: row for row in [*older, *map(asdict, rows)]}
    names = [target.name for part in PARTS for target in part.targets]
    table.parent.mkdir(exist_ok=True)
    kept = [by_name[name] for name in names if name in by_name]
    table.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def checkout(folder: Path) -> None:
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)


def clone(folder: Path) -> None:
    """A checkout with this one's dependencies."""
    checkout(folder)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    (folder / ".boot").symlink_to(ROOT / ".boot")
    # the editable installation points to this checkout; its code is the clone's as long as nothing is uncommitted
    for ready in (ROOT / ".venv").glob(".ready-*"):
        ready.touch()


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
    """Outputs whose content hashes differ between the lock files of two runs."""
    hashes = []
    for project in (first, second):
        stages = yaml.safe_load((project / "dvc.lock").read_text())["stages"]
        outs = [out for stage in stages.values() for out in stage["outs"]]
        hashes.append({out["path"]: out["md5"] for out in outs})
    return [path for path in hashes[0] if hashes[0][path] != hashes[1].get(path)]


def demo(bench: Bench) -> Iterator[float]:
    yield bench.demo.wall_s
    yield bench.demo.peak_gib
    yield watched(["dvc", "repro"], bench.demo.folder)[0]


def accuracy(bench: Bench) -> Iterator[float]:
    summary = json.loads((bench.project / "reports/summary.json").read_text())
    result = summary["backbones"]["facemesh"]
    accuracy = {method: scores["acc_emo"] for method, scores in result["methods"].items()}
    held_out = result["held_out"]
    yield result["methods"]["cmet"]["n"] + held_out["n"]
    yield accuracy["cmet"] / accuracy["oracle"]
    yield 100 * (accuracy["cmet"] - accuracy["neutral"])
    yield held_out["acc_emo"] / summary["chance"]
    yield summary["judge"]["acc_ground_truth"]
    yield json.loads((bench.project / "data/metrics/expression-facemesh.json").read_text())["face_ratio"]


def landmarks(bench: Bench) -> Iterator[float]:
    videos, model = tracked_clips(bench.project)
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        yield sum(pool.starmap(track_and_encode, [(videos[0::2], model), (videos[1::2], model)], chunksize=1))


def warp(bench: Bench) -> Iterator[float]:
    videos, model = tracked_clips(bench.project)
    yield render_speed(videos[0], model)


def tracked_clips(project: Path) -> tuple[list[Path], Path]:
    """Prepared videos, and the fitted backbone."""
    return prepared_videos(project)[::40][:NUM_TRACKED_CLIPS], project / "data/expression/facemesh/model"


def prepared_videos(project: Path) -> list[Path]:
    """Pictures of all clips."""
    from cmet.packs import Packs

    packs = Packs(project / "data/clips/video")
    return [packs.path(name) for name in packs.names()]


def editing(bench: Bench) -> Iterator[float]:
    yield edit_720p(bench.real / "faces/face_2.mp4", bench.scratch)["times"]


def studio(bench: Bench) -> Iterator[float]:
    used = use_studio(bench.real / "faces/face_2.mp4", bench.scratch)
    yield used.ready_s
    yield used.preview_s
    yield used.memory_growth
    yield used.num_files_more
    yield used.num_wrong


def published_backbones(bench: Bench) -> Iterator[float]:
    found = backbone_speeds()
    yield found["edit_speedup"]
    yield found["rendering_speedup"]
    yield 1e6 * found["max_difference_relative"]
    yield found["pdfgc_speedup"]


def short_edit(bench: Bench) -> Iterator[float]:
    yield memory_while_streaming(bench.scratch, SHORT_S, is_shortened=False)


def long_edits(bench: Bench) -> Iterator[float]:
    minute, ten = (memory_while_streaming(bench.scratch, duration_s, is_shortened=True) for duration_s in (60, 600))
    yield minute
    yield ten / minute


def judging(bench: Bench) -> Iterator[float]:
    yield judge_speed(prepared_videos(bench.project)[:NUM_JUDGED_CLIPS])["whole_fps"]


def tables(bench: Bench) -> Iterator[float]:
    yield tables_of_all_of_mead(bench.scratch)


def scoring(bench: Bench) -> Iterator[float]:
    few, many = memory_while_scoring(bench.project, bench.scratch, (50, 500))
    yield many / few


def frechet(bench: Bench) -> Iterator[float]:
    yield 1e6 * frechet_difference()


def sampling(bench: Bench) -> Iterator[float]:
    yield sampling_speeds(bench.scratch)["speedup"]


def steps(bench: Bench) -> Iterator[float]:
    step = step_times()
    yield step["relative"]
    yield step["data_share"]


def reading(bench: Bench) -> Iterator[float]:
    yield memory_while_reading(bench.scratch, 30)["peak_mib"]


def killed_training(bench: Bench) -> Iterator[float]:
    killed = killed_while_training(bench.scratch)
    yield killed.num_kills * killed.is_identical


def killed_training_agents(bench: Bench) -> Iterator[float]:
    killed = killed_agents(bench.scratch)
    yield killed.num_kills * killed.is_identical


def rounding(bench: Bench) -> Iterator[float]:
    found = measure_rounding(bench.scratch)
    print(found.recipes_table(), found.steps_table(), sep="\n\n")
    two, moved, in_float64 = COMPARED
    yield 1e6 * found.largest(TESTS, two)
    yield found.largest(SAMPLE, two) / found.largest(SAMPLE, moved)
    yield 1e9 * max(found.largest(recipe, in_float64) for recipe in found.differences)


def killed_downloading(bench: Bench) -> Iterator[float]:
    found = [killed_while_downloading(bench.scratch, is_hub, NUM_DOWNLOAD_KILLS, SIZE_MIB) for is_hub in (True, False)]
    yield min(one.num_kills for one in found)
    yield sum(one.num_broken + one.num_from_elsewhere for one in found)
    yield max(one.sent_share for one in found)


def scanning(bench: Bench) -> Iterator[float]:
    yield from scan_all_of_mead(bench.scratch)


def planning(bench: Bench) -> Iterator[float]:
    costs = [cost for size in SIZES for cost in planned(size, bench.scratch)]
    print(table_of(costs))
    yield max(cost.peak_mib for cost in costs) / 1024
    large, small = (sum(cost.core_s for cost in costs if cost.num_clips == size) for size in (1_000_000, 100_000))
    yield large / small / 10


def idle_dvc(bench: Bench) -> Iterator[float]:
    costs = [cost for size in DVC_SIZES for cost in idle(size, bench.scratch)]
    print(dvc_table(costs))
    repro, push = (cost for cost in costs if cost.num_clips == DVC_SIZES[-1] and cost.command in IDLE)
    yield from (repro.wall_s, push.wall_s, max(repro.peak_mib, push.peak_mib) / 1024)


def preparing(bench: Bench) -> Iterator[float]:
    few, many = memory_while_preparing(bench.scratch, sample_clip(bench.project), (100, 2000))
    yield many / few


def killed_preparing(bench: Bench) -> Iterator[float]:
    killed = killed_while_preparing(bench.scratch, sample_clip(bench.project), 150, signal.SIGKILL, NUM_KILLS)
    yield killed.num_kills * killed.is_identical
    yield killed.num_left_behind


def interrupted_preparing(bench: Bench) -> Iterator[float]:
    killed = killed_while_preparing(bench.scratch, sample_clip(bench.project), 150, signal.SIGINT, NUM_INTERRUPTS)
    yield killed.num_kills * killed.is_identical
    yield killed.slowest_s


def nodes(bench: Bench) -> Iterator[float]:
    of_nodes, of_workers, overhead = speedups()
    yield of_nodes / of_workers
    yield overhead


def drivers(bench: Bench) -> Iterator[float]:
    yield from driver(1_000, 100_000)


def disturbed(bench: Bench) -> Iterator[float]:
    yield min(interruptions(bench.scratch, NUM_EACH).values())


def sample_clip(project: Path) -> Path:
    return min((project / "data/sample/corpus").rglob("*.mp4"))


def preparing_1080p(bench: Bench) -> Iterator[float]:
    yield prepare_1080p(bench.real / "MEAD_raw")["share"]


def preparing_256(bench: Bench) -> Iterator[float]:
    yield prepare_256(bench.real / "MEAD/FPS25")["preparing_fps"]


def opensmile(bench: Bench) -> Iterator[float]:
    wavs = sorted((bench.real / "MEAD/FPS25").rglob("*.wav"))
    yield opensmile_speedup(wavs, bench.scratch / "opensmile")["speedup"]


def real_faces(bench: Bench) -> Iterator[float]:
    table = measure_faces(bench.real, bench.scratch / "faces")
    print(table.markdown)
    keep_faces(table)
    faces = (*TUNED, *OTHERS)
    for half in (TUNED, OTHERS):
        yield share_named(table.of(half))
    yield sum(clip.fer != clip.emotion for clip in table.of(faces, "happy"))
    edited, true = table.on_mead
    yield edited / true
    named = {emotion: sum(clip.faceapi == emotion for clip in table.of(faces, emotion)) for emotion in EMOTIONS}
    yield sum(named[emotion] < FACEAPI_BEFORE[emotion] for emotion in EMOTIONS)
    yield min(clip.identity for clip in table.of(faces))
    yield max(clip.distance for clip in table.of(faces))


def second_run(bench: Bench) -> Iterator[float]:
    second = bench.scratch / "second"
    clone(second)
    watched(["dvc", "repro"], second)
    yield len(differing(bench.project, second))


def all_tests(bench: Bench) -> Iterator[float]:
    bare = bench.scratch / "bare"
    checkout(bare)
    setup_s, test_s = (timed(["make", target], bare) for target in ("setup", "test"))
    yield test_s
    yield setup_s + test_s


PARTS = (
    Part(
        "demo",
        (
            at_most("make demo, dependencies installed", "s", 480),
            at_most("make demo, peak memory of all its processes", "GiB", 6),
            at_most("dvc repro with nothing changed", "s", 10),
        ),
        demo,
    ),
    Part(
        "accuracy",
        (
            at_least("edited test clips per method", "clips", 100),
            at_least("cmet accuracy relative to oracle", "", 0.85),
            at_least("cmet accuracy above neutral", "points", 40),
            at_least("held-out emotion, times chance", "", 2.5),
            at_least("judge on true clips", "", 0.85),
            at_least("sample corpus frames in which the face is found", "", 0.99),
        ),
        accuracy,
    ),
    Part("facemesh", (at_least("landmarks and codes of prepared video, 2 cores", "frames/s", 200),), landmarks),
    Part("facemesh", (at_least("warp rendering, 256x256, one core", "frames/s", 100),), warp),
    Part("editing", (at_most("10 s of 720p edited, core-seconds over decoding and encoding", "times", 3),), editing),
    Part(
        "studio",
        (
            at_most("cmet studio, from the command to the page", "s", 8),
            at_most(f"preview of a 720p frame, from letting go to the picture, median of {NUM_PREVIEWS}", "s", 0.5),
            at_most(f"memory of the page after {NUM_EDITS} edits relative to after a quarter of them", "", 1.1),
            at_most(f"files of the page after {NUM_EDITS} edits, more than their results", "files", 0),
            at_most(f"edits of two at once, {NUM_STUDIO_EACH} each, that the command line makes otherwise", "edits", 0),
        ),
        studio,
    ),
    Part(
        "backbones",
        (
            at_least("EDTalk, whole edit against the published procedure", "times", 3),
            at_least("EDTalk, rendering alone", "times", 2),
            at_most("EDTalk pictures, largest relative difference", "millionths", 200),
            at_least("PD-FGC end to end against its batch-of-8 procedure", "times", 1.5),
        ),
        published_backbones,
    ),
    Part("backbones", (at_most(f"EDTalk editing {SHORT_S} s, peak memory", "MiB", 2000),), short_edit),
    Part(
        "backbones",
        (
            at_most("EDTalk editing 60 s, networks' passes shortened, peak memory", "MiB", 3000),
            at_most("memory of EDTalk editing 600 s relative to 60 s, networks' passes shortened", "", 1.1),
        ),
        long_edits,
    ),
    Part("judge", (at_least("judge at 112 px, one core, reading included", "frames/s", 40),), judging),
    Part("evaluation", (at_most("stored predictions of 1143 rows into all tables", "s", 20),), tables),
    Part("evaluation", (at_most("memory of scoring 500 clips relative to 50", "", 1.1),), scoring),
    Part("evaluation", (at_most("FID, both kinds, against an independent computation", "millionths", 1),), frechet),
    Part("training", (at_least("drawing training samples against the published procedure", "times", 100),), sampling),
    Part(
        "training",
        (
            at_most("training step relative to a plain loop", "", 1),
            at_most("data waiting, share of the step", "", 0.01),
        ),
        steps,
    ),
    Part("training", (at_most("reading MEAD's front views for training, peak memory", "MiB", 2048),), reading),
    Part("training", (at_least("SIGKILLs while training, the weights the same", "kills", 10),), killed_training),
    Part(
        "training",
        (at_least("SIGKILLs of an agent of two that train, the model the same", "kills", 10),),
        killed_training_agents,
    ),
    Part(
        "training",
        (
            at_most("rounding: losses of two processes beside one, the tests' recipe", "millionths", 10),
            at_most("rounding: the sample's recipe, relative to one process with a weight moved by a digit", "", 10),
            at_most("rounding: losses of two processes beside one, in float64, any recipe", "billionths", 10),
        ),
        rounding,
    ),
    Part(
        "weights",
        (
            at_least("SIGKILLs while downloading, each by hub and by plain address", "kills", NUM_DOWNLOAD_KILLS),
            at_most("files broken, or begun elsewhere than where they were interrupted", "times", 0),
            at_most("bytes sent in all, of those of the files", "", 1.05),
        ),
        killed_downloading,
    ),
    Part(
        "corpora",
        (
            at_most("manifest of 31,490 clips of MEAD, empty files", "s", 10),
            at_most("manifest of 31,490 clips, peak memory", "MiB", 500),
        ),
        scanning,
    ),
    Part(
        "planning",
        (
            at_most("planning 1,000,000 clips, most memory of a step", "GiB", 16),
            at_most("planning a clip of 1,000,000 relative to one of 100,000, core-seconds", "", 1.25),
        ),
        planning,
    ),
    Part(
        "dvc",
        (
            at_most("a repro that does nothing, 280,000 made clips", "s", 15),
            at_most("a push that pushes nothing, 280,000 made clips", "s", 15),
            at_most("most memory of both", "GiB", 1),
        ),
        idle_dvc,
    ),
    Part("corpora", (at_most("memory of preparing 2000 clips relative to 100", "", 1.1),), preparing),
    Part(
        "corpora",
        (
            at_least("SIGKILLs while preparing, the output the same", "kills", 20),
            at_most("left behind after the kills", "things", 0),
        ),
        killed_preparing,
    ),
    Part(
        "corpora",
        (
            at_least("SIGINTs while preparing, the output the same", "interrupts", 50),
            at_most("slowest end after a SIGINT while preparing", "s", 10),
        ),
        interrupted_preparing,
    ),
    Part(
        "cluster",
        (
            at_least("speed-up of two nodes of one core, relative to that of two workers here", "", 0.9),
            at_most("400 clips on two nodes of one core, relative to two workers here", "", 1.1),
        ),
        nodes,
    ),
    Part(
        "cluster",
        (
            at_most("memory of a driver, 100,000 clips over 1,000 on a cluster", "MiB", 500),
            at_least("clips that are nothing to do, on a cluster", "clips/s", 500),
        ),
        drivers,
    ),
    Part(
        "cluster",
        (at_least("nodes, workers and drivers lost, each kind, the output the same", "times", NUM_EACH),),
        disturbed,
    ),
    Part(
        "media",
        (at_least("preparing 1080p MEAD, share of decoding and scaling", "", 0.6),),
        preparing_1080p,
    ),
    Part("media", (at_least("preparing 256 px clips, one core", "frames/s", 150),), preparing_256),
    Part("speech", (at_least("openSMILE on real speech, two processes over one", "times", 1.7),), opensmile),
    Part(
        "faces",
        (
            at_least("faces 1 to 4 edited, emotion named by FER-2013's network", "", 0.65),
            at_least("faces 5 to 8 edited, emotion named by FER-2013's network", "", 0.65),
            at_most("eight faces edited to be happy, named otherwise", "faces", 1),
            at_least("a clip of MEAD edited, relative to clips that truly show it", "", 0.8),
            at_most("emotions that face-api names less often than before", "emotions", 0),
            at_least("identity of the least alike edit, relative to its source's own", "", 0.9),
            at_most("distance of the farthest edit's descriptors from its source", "", 0.6),
        ),
        real_faces,
    ),
    Part("repeat", (at_most("outputs that differ between two runs of one seed", "outputs", 0),), second_run),
    Part(
        "tests",
        (
            at_most("make test, dependencies installed", "s", 480),
            at_most("make test, with installing from uv's cache", "s", 480),
        ),
        all_tests,
    ),
)


if __name__ == "__main__":
    main()
