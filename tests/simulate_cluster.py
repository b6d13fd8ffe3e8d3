"""`python -m tests.simulate_cluster`: how long stages would take on clusters that are not here, and what holds them up.

The rates are measured on this machine in the same run: each stage on two small sample corpora, whose difference leaves
out the start, and the stages that look at every clip on made tables (`tests.bench_planning`). What cannot be measured
here is assumed, and stands below. The model is compared with one and two workers of this machine.

A stage is a map, in which nodes work on clips and one driver hands them out, and after it what one thread does by
itself. The map takes as long as the slowest of the cores, the driver, the storage and the driver's network.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import yaml

from cmet.engine.attempts import Job, Record
from cmet.engine.clip_map import ClipMap
from cmet.places import WORK
from cmet.text_tables import text_table
from tests.bench_corpora import POLL_S
from tests.bench_planning import BACKBONE, Cost, planned
from tests.small_line import write_small_params

SIZES = (31_490, 280_000, 1_000_000)
NODES = (1, 10, 100)

# assumed
CORES_PER_NODE = 32
CLUSTER_EFFICIENCY = 0.9
"""Of the cores of several nodes: what a map on Ray has to reach."""
CLUSTER_JOBS_PER_S = 500.0
"""What the driver of a map on Ray has to reach; on one node, what is measured here."""
STORAGE_MIB_S = 2000.0
"""What a shared file server gives to all nodes together."""
NETWORK_MIB_S = 1100.0
"""What one node has: 10 Gbit/s."""
DISK_MIB_S = 1000.0
"""What one node has that works alone, on its own disk."""
RAW_CLIP_MIB = 1.0
"""A clip of MEAD as released, at 1080p."""
TEST_SHARE, PAIRED_SHARE = 4 / 47, 630 / 670
"""Of the clips: those of the paper's test speakers, and those that are the emotional one of a pair."""

FEW = {"num_train_speakers": 1, "num_val_speakers": 1, "num_test_speakers": 1, "sentences_per_speaker": 1}
MANY = FEW | {"sentences_per_speaker": 3}
"""The two sample corpora. They have the same speakers: the contact sheet shows each, but not more than a hundred."""
PLANNED = (2_000, 8_000)
"""Clips of the two made tables."""
NUM_NOTHING = 2_000
"""Jobs that do nothing, by which the driver is measured."""

MAPS = ("clips", "speech", "expression", "edits", "evaluate")
LINE = (
    "sample",
    "manifest",
    "clips",
    "speech",
    "expression",
    "deltas",
    "shards",
    "train",
    "judge",
    "edits",
    "evaluate",
)
VARIANTS = {"speech": ["--encoder", "opensmile"]} | {
    stage: ["--backbone", BACKBONE] for stage in ("expression", "deltas", "shards", "train", "edits", "evaluate")
}


@dataclass(frozen=True)
class Run:
    """One run of a stage."""

    wall_s: float
    driver_s: float
    """Core-seconds of the process that was started."""
    worker_s: float
    """Core-seconds of those that it has started."""


@dataclass(frozen=True)
class Rate:
    """What a stage costs."""

    share: float
    """Units of the stage per clip of the corpus."""
    worker_s: float
    """Core-seconds a unit that any node can give."""
    driver_s: float
    """Core-seconds a unit of one thread."""
    start_s: float
    """Core-seconds that do not depend on the corpus."""
    read_mib: float
    """From the storage, for a unit."""
    written_mib: float
    driver_mib: float
    """Read and written by the driver itself, for a unit."""


@dataclass(frozen=True)
class Time:
    """How long a stage would take."""

    wall_s: float
    by: str
    """What it spends the longest time on."""


def stage_time(rate: Rate, num_clips: int, num_nodes: int, jobs_per_s: float) -> Time:
    """The model."""
    units = num_clips * rate.share
    is_alone = num_nodes == 1
    cores = CORES_PER_NODE * num_nodes * (1 if is_alone else CLUSTER_EFFICIENCY)
    storage_mib_s = DISK_MIB_S if is_alone else STORAGE_MIB_S
    dispatched_s = units / (jobs_per_s if is_alone else min(jobs_per_s, CLUSTER_JOBS_PER_S)) if rate.worker_s else 0.0
    mapped = {
        "cores": units * rate.worker_s / cores,
        "driver": dispatched_s,
        "storage": units * (rate.read_mib + rate.written_mib) / storage_mib_s,
    }
    # what it does while the workers work is in the map already
    alone = {
        "one thread": max(0.0, units * (rate.driver_s - (1 / jobs_per_s if rate.worker_s else 0))),
        "driver's network": units * rate.driver_mib / (DISK_MIB_S if is_alone else NETWORK_MIB_S),
    }
    parts = {max(mapped, key=mapped.__getitem__): max(mapped.values()), "start": rate.start_s}
    parts[max(alone, key=alone.__getitem__)] = max(alone.values())
    return Time(sum(parts.values()), max(parts, key=parts.__getitem__))


def do_nothing(job: Job, folder: Path) -> Record:
    """The work of a clip that costs nothing."""
    return {}


def measured_jobs_per_s(scratch: Path) -> float:
    """Jobs that a driver here could hand out and take in, were the cores its own: of its own core-seconds."""
    jobs: list[Job] = [{"clip_id": f"clip-{number}"} for number in range(NUM_NOTHING)]
    before = os.times()
    ClipMap(do_nothing, scratch / "nothing", "nothing").run(jobs, 1)
    after = os.times()
    return NUM_NOTHING / (after.user + after.system - before.user - before.system)


def make_project(folder: Path, sample: dict[str, int]) -> Path:
    """A sample corpus, its clips and its networks as large as those of the demo."""
    folder.mkdir()
    path = write_small_params(folder)
    demo = yaml.safe_load((Path(__file__).parents[1] / "params.yaml").read_text(encoding="utf-8"))
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    values |= {"clips": demo["clips"], "judge": demo["judge"]}
    values["sample"] |= sample
    values["evaluate"]["metrics"] = ["landmarks"]
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return folder


def run_stage(stage: str, project: Path, num_workers: int) -> Run:
    """Run a stage once more or for the first time."""
    command = [sys.executable, "-m", "cmet", stage, *VARIANTS.get(stage, [])]
    environment = os.environ | {"CMET_WORKERS": str(num_workers), "PYTHONPATH": str(Path(__file__).parents[1])}
    started = time.perf_counter()
    with (project / "log").open("ab") as log:
        process = subprocess.Popen(command, cwd=project, env=environment, stdout=log, stderr=log)
    own = psutil.Process(process.pid)
    driver_s = 0.0
    while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
        spent = own.cpu_times()
        driver_s = max(driver_s, spent.user + spent.system)
        time.sleep(POLL_S)
    wall_s = time.perf_counter() - started
    _, status, used = ended
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"cmet {stage} failed:\n{(project / 'log').read_text(encoding='utf-8')[-3000:]}")
    return Run(wall_s, driver_s, max(0.0, used.ru_utime + used.ru_stime - driver_s))


def run_line(project: Path) -> dict[str, Run]:
    """All stages, with one worker."""
    runs = {}
    for stage in LINE:
        runs[stage] = run_stage(stage, project, 1)
        print(f"{project.name}: {stage}: {runs[stage]}, load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
    return runs


def num_units(stage: str, sample: dict[str, int]) -> int:
    """How much a stage has to do in a sample corpus; at one level there are eight clips of a sentence."""
    speakers = {"edits": "num_test_speakers", "evaluate": "num_test_speakers", "judge": "num_train_speakers"}
    kinds = [speakers[stage]] if stage in speakers else [f"num_{split}_speakers" for split in ("train", "val", "test")]
    return sum(sample[kind] for kind in kinds) * sample["sentences_per_speaker"] * (7 if "test" in kinds[0] else 8)


def mib_per_unit(folder: Path, num: int) -> float:
    """Size of what lies below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20 / num


def rates(few: dict[str, Run], many: dict[str, Run], plans: Sequence[Cost], project: Path) -> dict[str, Rate]:
    """What each stage costs, from two runs of it; the larger one is in the project."""
    data = project / "data"
    num_clips, num_rows = num_units("clips", MANY), num_units("edits", MANY)
    picture, sound, tracks, codes = (
        mib_per_unit(data / name, num_clips)
        for name in ("clips/video", "clips/audio", f"expression/{BACKBONE}/tracks", f"expression/{BACKBONE}/codes")
    )
    edited, packed = (mib_per_unit(data / f"{name}/{BACKBONE}", num_rows) for name in ("edits", "shards"))
    # read, written, and of both what the driver does: files of a map are packed by it
    traffic = {
        "manifest": (0.0, 0.0, 0.0),
        "clips": (RAW_CLIP_MIB + picture + sound, 2 * (picture + sound), 2 * (picture + sound)),
        "speech": (sound, 0.0, 0.0),
        "expression": (picture + 2 * tracks, 2 * tracks + codes, 3 * tracks + codes),
        "deltas": (codes, 0.0, codes),
        "shards": (2 * codes, packed, 2 * codes + packed),
        "judge": (picture, 0.0, picture),
        "edits": (picture, edited, 0.0),
        # the judge reads edits and true clips, landmarks these and the sources, and the driver for their digests
        "evaluate": (3 * edited + 5 * picture, 0.0, edited + 2 * picture),
    }
    shares = {"shards": PAIRED_SHARE, "judge": 1 - TEST_SHARE} | dict.fromkeys(
        ("edits", "evaluate"), TEST_SHARE * PAIRED_SHARE
    )
    found = {}
    for stage, (read, written, by_driver) in traffic.items():
        share = shares.get(stage, 1.0)
        if any(cost.step == stage for cost in plans) and stage not in MAPS:
            (n1, one), (n2, two) = ((cost.num_clips, cost.core_s) for cost in plans if cost.step == stage)
            worker_s, driver_s = 0.0, (two - one) / (n2 - n1) / share
            start_s = max(0.0, one - n1 * share * driver_s)
        else:
            n1, n2 = num_units(stage, FEW), num_units(stage, MANY)
            worker_s, driver_s = (
                max(0.0, getattr(many[stage], part) - getattr(few[stage], part)) / (n2 - n1)
                for part in ("worker_s", "driver_s")
            )
            if stage not in MAPS:
                worker_s, driver_s = 0.0, worker_s + driver_s
            start_s = max(0.0, few[stage].worker_s + few[stage].driver_s - n1 * (worker_s + driver_s))
        found[stage] = Rate(share, worker_s, driver_s, start_s, read, written, by_driver)
    return found


def rates_table(found: dict[str, Rate]) -> str:
    """What was measured, for a unit of each stage."""
    header = [
        "stage",
        "units per clip",
        "workers, core-s",
        "one thread, ms",
        "start, core-s",
        "read, MiB",
        "written, MiB",
    ]
    rows = [
        [
            stage,
            f"{rate.share:.3f}",
            f"{rate.worker_s:.3f}" if rate.worker_s else "-",
            f"{1000 * rate.driver_s:.2f}",
            f"{rate.start_s:.1f}",
            f"{rate.read_mib:.3f}",
            f"{rate.written_mib:.3f}",
        ]
        for stage, rate in found.items()
    ]
    return text_table(header, rows, header[1:])


def times_table(found: dict[str, Rate], jobs_per_s: float) -> str:
    header = ["clips", "nodes", *found, "all"]
    rows = []
    for size in SIZES:
        for nodes in NODES:
            times = [stage_time(rate, size, nodes, jobs_per_s) for rate in found.values()]
            cells = [f"{_span(one.wall_s)} ({one.by})" for one in times]
            rows.append([f"{size:,}", f"{nodes}", *cells, _span(sum(one.wall_s for one in times))])
    return text_table(header, rows, header)


def traffic_table(found: dict[str, Rate]) -> str:
    header = ["clips", *(stage for stage, rate in found.items() if rate.read_mib + rate.written_mib), "all"]
    rows = []
    for size in SIZES:
        gib = [
            [size * rate.share * mib / 1024 for mib in (rate.read_mib, rate.written_mib)]
            for rate in found.values()
            if rate.read_mib + rate.written_mib
        ]
        total = [sum(column) for column in zip(*gib, strict=True)]
        rows.append([f"{size:,}", *(f"{read:,.0f} + {written:,.0f}" for read, written in [*gib, total])])
    return text_table(header, rows, header)


def check_table(found: dict[str, Rate], one: dict[str, Run], two: dict[str, Run]) -> str:
    """The model beside what one and two workers have taken."""
    header = [
        "stage", "1 worker: model, s", "measured, s", "2 workers: model, s", "measured", "gain: model",
        "gain: measured", "core-s of 2 over 1",
    ]  # fmt: skip
    rows = []
    for stage in MAPS:
        rate, runs = found[stage], {1: one[stage], 2: two[stage]}
        model_s = {
            workers: rate.start_s + num_units(stage, MANY) * (rate.worker_s / workers + rate.driver_s)
            for workers in runs
        }
        core_s = {workers: run.driver_s + run.worker_s for workers, run in runs.items()}
        cells = [f"{seconds:.1f}" for workers, run in runs.items() for seconds in (model_s[workers], run.wall_s)]
        gains = [f"{model_s[1] / model_s[2]:.2f}", f"{runs[1].wall_s / runs[2].wall_s:.2f}"]
        rows.append([stage, *cells, *gains, f"{core_s[2] / core_s[1]:.2f}"])
    return text_table(header, rows, header[1:])


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="cmet-cluster-") as name:
        scratch = Path(name)
        jobs_per_s = measured_jobs_per_s(scratch)
        print(f"driver: {jobs_per_s:.0f} jobs/s, load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
        plans = [cost for size in PLANNED for cost in planned(size, scratch)]
        few, many = (make_project(scratch / kind, sample) for kind, sample in (("few", FEW), ("many", MANY)))
        of_few, of_many = run_line(few), run_line(many)
        found = rates(of_few, of_many, plans, many)
        # with what was kept of the first runs, clips that have not changed would be taken over
        shutil.rmtree(many / WORK)
        two = {stage: run_stage(stage, many, 2) for stage in MAPS}
        print(f"Rates, load {os.getloadavg()[0]:.1f}; the driver hands out {jobs_per_s:.0f} jobs/s\n")
        print(rates_table(found), "\n\nTimes\n")
        print(times_table(found, jobs_per_s), "\n\nGiB read + written\n")
        print(traffic_table(found), "\n\nModel and machine\n")
        print(check_table(found, of_many, two))


if __name__ == "__main__":
    main()
