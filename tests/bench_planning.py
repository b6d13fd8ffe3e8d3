"""What it costs to plan a corpus of up to a million clips: the stages that look at every clip and open no video.

Files of the corpus are empty, and embeddings and codes are drawn; each stage runs in a process of its own, as always.
`python -m tests.bench_planning` prints the table of docs/scale.md.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from cmet.clips.product import TABLE as CLIPS_TABLE
from cmet.edits.methods import draw_references
from cmet.edits.pools import choose_speech
from cmet.edits.rows import planned_rows, protocol_facts
from cmet.expression.product import CODES, array_name
from cmet.packs import write_packs
from cmet.project import Project
from cmet.speech.product import TABLE as VOICES_TABLE
from cmet.text_tables import text_table
from cmet.vocabulary import TARGET_EMOTIONS
from tests.bench_corpora import POLL_S, make_project

SIZES = (10_000, 31_490, 100_000, 280_000, 1_000_000)
"""The second is all front views of MEAD; the fourth, all of its views."""

STEPS = ("manifest", "deltas", "shards", "edits")
"""The first three are stages; of `edits`, which rows there are, the speech of each and its reference."""

BACKBONE = "facemesh"
LEVELS, NUM_SENTENCES, NUM_NEUTRAL = (1, 2, 3), 30, 40
"""A speaker has as many clips as one of MEAD; the last fifth of the speakers is for the test."""
SPEECH_WIDTH, NUM_FRAMES, CODE_WIDTH = 88, 75, 10
"""openSMILE's, three seconds, and the sample's."""
NUM_DRAWN = 64
"""Different embeddings and codes: to draw a million would take longer than what is measured."""


@dataclass(frozen=True)
class Cost:
    """What a step has taken, Python's start with it."""

    num_clips: int
    step: str
    wall_s: float
    core_s: float
    peak_mib: float


def planned(num_clips: int, scratch: Path, steps: Sequence[str] = STEPS) -> Iterator[Cost]:
    """What each step costs for a corpus of so many clips; nothing of it stays."""
    folder = scratch / f"planning-{num_clips}"
    make_corpus(folder / "corpus", num_clips)
    project = make_project(folder, "table", folder / "corpus")
    for step in steps:
        yield _cost(num_clips, step, project)
        if step == "manifest":
            write_features(Project.at(project / "params.yaml"))
    shutil.rmtree(folder)


def make_corpus(root: Path, num_clips: int) -> None:
    """A table of clips with empty files, speaker by speaker."""
    root.mkdir(parents=True)
    with (root / "clips.csv").open("w", encoding="utf-8") as table:
        table.write("video,speaker,emotion,intensity,sentence\n")
        for speaker, emotion, level, sentence in islice(_labels(), num_clips):
            name = f"{speaker}/{emotion}/{level}/{sentence}.mp4"
            if sentence == "001":
                (root / name).parent.mkdir(parents=True)
            (root / name).touch()
            table.write(f"{name},{speaker},{emotion},{level},{sentence}\n")


def write_features(project: Project) -> None:
    """What `clips`, `speech` and `expression` would leave of the clips of a manifest."""
    random = np.random.default_rng(0)
    places = project.places
    table = project.manifest().table.assign(num_frames=NUM_FRAMES, duration_s=NUM_FRAMES / 25)
    clips, voices = places.folder("clips"), places.folder("speech", project.params.deltas.speech_encoder)
    for folder in (clips, voices):
        folder.mkdir(parents=True)
    table.to_parquet(clips / CLIPS_TABLE, index=False)
    vectors = list(random.standard_normal((NUM_DRAWN, SPEECH_WIDTH), np.float32))
    embeddings = [vectors[number % NUM_DRAWN] for number in range(len(table))]
    pd.DataFrame({"clip_id": table.clip_id, "embedding": embeddings}).to_parquet(voices / VOICES_TABLE, index=False)
    files = []
    for _ in range(NUM_DRAWN):
        stream = BytesIO()
        np.save(stream, random.standard_normal((NUM_FRAMES, CODE_WIDTH), np.float32))
        files.append(stream.getvalue())
    contents = {array_name(clip_id): files[number % NUM_DRAWN] for number, clip_id in enumerate(table.clip_id)}
    write_packs(places.folder("expression", BACKBONE) / CODES, contents, contents.__getitem__, "drawn codes")


def plan_edits(project: Project) -> int:
    """All that `edits` decides before it makes a picture; returns the number of rows."""
    params, clips = project.params, project.clips().table
    rows = planned_rows(project.pairs(BACKBONE).table, clips, params.edits, params.held_out_emotion)
    heard = project.voices(params.deltas.speech_encoder).clip_ids
    protocol_facts(rows, choose_speech(rows, clips, heard, params.edits), params.edits)
    return len(draw_references(rows, clips, project.faces(BACKBONE), params.seed))


def table_of(costs: Sequence[Cost]) -> str:
    """Wall and core-seconds and memory by size, in Markdown."""
    header = ["clips", *(f"{step}, core-s (GiB)" for step in STEPS), "all, wall s", "core-s per 1,000 clips"]
    rows = []
    for size in dict.fromkeys(cost.num_clips for cost in costs):
        same = {cost.step: cost for cost in costs if cost.num_clips == size}
        core_s = sum(cost.core_s for cost in same.values())
        rows.append(
            [
                f"{size:,}",
                *(f"{same[step].core_s:.1f} ({same[step].peak_mib / 1024:.2f})" for step in STEPS),
                f"{sum(cost.wall_s for cost in same.values()):.0f}",
                f"{1000 * core_s / size:.2f}",
            ]
        )
    return text_table(header, rows, header)


def _labels() -> Iterator[tuple[str, str, int, str]]:
    """Speaker, emotion, level and sentence of one clip after the other, without an end."""
    speaker = 0
    while True:
        for emotion in ("neutral", *TARGET_EMOTIONS):
            for level in LEVELS[:1] if emotion == "neutral" else LEVELS:
                for number in range(1, 1 + (NUM_NEUTRAL if emotion == "neutral" else NUM_SENTENCES)):
                    yield f"S{speaker:04d}", emotion, level, f"{number:03d}"
        speaker += 1


def _cost(num_clips: int, step: str, project: Path) -> Cost:
    if step == "edits":
        command = [sys.executable, "-m", __spec__.name, step, str(project)]
    else:
        command = [sys.executable, "-m", "cmet", step, *(["--backbone", BACKBONE] if step != "manifest" else [])]
    started = time.perf_counter()
    core_s, peak_mib = run_alone(command, project)
    return Cost(num_clips, step, time.perf_counter() - started, core_s, peak_mib)


def run_alone(command: Sequence[str], project: Path) -> tuple[float, float]:
    """Core-seconds and peak MiB of a command that starts no processes."""
    with (project / "log").open("ab") as log:
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
        process = subprocess.Popen(command, cwd=project, env=environment, stdout=log, stderr=log)
    peak = 0
    while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
        # what wait4 says of memory begins with that of the process which has started this one
        peak = max(peak, _peak_bytes(process.pid))
        time.sleep(POLL_S)
    _, status, used = ended
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{(project / 'log').read_text(encoding='utf-8')[-3000:]}")
    return used.ru_utime + used.ru_stime, peak / 2**20


def _peak_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    # a process that has just ended has no memory
    return int(found[1]) * 1024 if found else 0


def main(arguments: Sequence[str]) -> None:
    if arguments[:1] == ["edits"]:
        plan_edits(Project.at(Path(arguments[1]) / "params.yaml"))
        return
    costs = []
    with tempfile.TemporaryDirectory(prefix="cmet-planning-") as scratch:
        for size in map(int, arguments) if arguments else SIZES:
            for cost in planned(size, Path(scratch)):
                costs.append(cost)
                print(cost, f"load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
    print(table_of(costs))


if __name__ == "__main__":
    main(sys.argv[1:])
