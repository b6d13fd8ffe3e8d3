"""What DVC takes for a project of very many clips in which there is nothing to do.

Outputs are made up: packs of as many clips as are asked for, of a few hundred bytes each, as many shards, and a file of
everything else in the graph. The raw corpus is an inventory. `python -m tests.bench_dvc` prints the table of
docs/running.md.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dvc.config import Config
from dvc.repo import Repo

from cmet.clips.product import SOUND, VIDEO, sound_name, video_name
from cmet.expression.product import CODES, TRACKS, array_name
from cmet.objects.inventory import StoredObject, write_inventory
from cmet.packs import write_packs
from cmet.places import Places
from cmet.vocabulary import METHODS
from tests.bench_planning import run_alone

ROOT = Path(__file__).parents[1]

SIZES = (10_000, 280_000)
"""The second is all views of MEAD."""

EXPERIMENT, INVENTORY, BACKBONE = "mead-facemesh", "mead.inventory", "facemesh"
CLIPS_PER_EDIT, CLIPS_PER_SHARD = 12, 512
"""MEAD's, in which a twelfth of the clips is edited; nearly every clip makes a pair."""

COMMANDS = {
    "first commit": ("commit", "--force", "--quiet"),
    "first push": ("push", "--quiet"),
    "repro": ("repro",),
    "push": ("push",),
}
"""In this order; the last two have nothing to do."""

IDLE = {"repro": "Data and pipelines are up to date.", "push": "Everything is up to date."}
"""What DVC says then."""


@dataclass(frozen=True)
class DvcCost:
    """What a command of DVC has taken, Python's start with it."""

    num_clips: int
    num_files: int
    command: str
    wall_s: float
    core_s: float
    peak_mib: float


def idle(num_clips: int, scratch: Path) -> Iterator[DvcCost]:
    """What each of `COMMANDS` takes in a project of so many clips.

    Raises:
        AssertionError: A command had something to do.
    """
    project = scratch / f"dvc-{num_clips}" / "project"
    make_project_of(project, num_clips)
    num_files = sum(1 for path in (project / "data").rglob("*") if path.is_file())
    for name, arguments in COMMANDS.items():
        (project / "log").unlink(missing_ok=True)
        started = time.perf_counter()
        core_s, peak_mib = run_alone([sys.executable, "-m", "dvc", *arguments], project)
        wall_s = time.perf_counter() - started
        said = (project / "log").read_text(encoding="utf-8")
        assert IDLE.get(name, "") in said, said
        yield DvcCost(num_clips, num_files, name, wall_s, core_s, peak_mib)


def make_project_of(project: Path, num_clips: int) -> None:
    """A checkout in which every output of the graph is there, and a remote beside it that is empty."""
    _call(["git", "clone", "--quiet", ROOT, project], project.parent.parent)
    objects = (StoredObject(f"{number:06d}.mp4", 1 << 20, f"{number:032x}") for number in range(num_clips))
    write_inventory(project / INVENTORY, "s3://lab/MEAD", objects)
    _call([sys.executable, "-m", "cmet", "use", f"experiments/{EXPERIMENT}.yaml", "--root", INVENTORY], project)
    with Config(str(project / ".dvc")).edit() as config:
        config["core"]["remote"] = "far"
        config["remote"]["far"] = {"url": str(project.with_name("remote"))}
    places = Places(project, project, project)
    clip_ids = [f"mead-M{number // 7000:03d}-happy-1-{number % 7000:04d}" for number in range(num_clips)]
    clips, faces = places.folder("clips"), places.folder("expression", BACKBONE)
    for folder, name in ((clips / VIDEO, video_name), (clips / SOUND, sound_name)):
        write_packs(folder, map(name, clip_ids), _content, "made up")
    for folder in (faces / TRACKS, faces / CODES):
        write_packs(folder, map(array_name, clip_ids), _content, "made up")
    for method in METHODS:
        edited = map(video_name, clip_ids[::CLIPS_PER_EDIT])
        write_packs(places.folder("edits", BACKBONE) / method, edited, _content, "made up")
    for number in range(num_clips // CLIPS_PER_SHARD):
        _lay(places.folder("shards", BACKBONE) / f"train-{number:06d}.tar")
    with Repo(str(project)) as repo:
        places_read = [Path(dep.fs_path) for dep in repo.index.deps if dep.protocol == "local"]
        outputs = [Path(out.fs_path) for out in repo.index.outs]
    for path in (*outputs, *places_read):
        if path.suffix:
            _lay(path)
        else:
            _lay(path / "made-up")


def table_of(costs: Sequence[DvcCost]) -> str:
    """Seconds of each command by size, in Markdown."""
    lines = ["| made clips | files | " + " | ".join(COMMANDS) + " | most memory |", "|---" * (3 + len(COMMANDS)) + "|"]
    for size in dict.fromkeys(cost.num_clips for cost in costs):
        same = {cost.command: cost for cost in costs if cost.num_clips == size}
        seconds = (f"{same[name].wall_s:.1f} s, {same[name].core_s:.1f} core-s" for name in COMMANDS)
        peak_mib = max(same[name].peak_mib for name in IDLE)
        num_files = same["push"].num_files
        lines.append(f"| {size:,} | {num_files:,} | {' | '.join(seconds)} | {peak_mib:.0f} MiB |")
    return "\n".join(lines)


def _content(name: str) -> bytes:
    return name.encode() * 10


def _lay(path: Path) -> None:
    """Make a file where there is none."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'{{"made up": "{path.name}"}}\n', encoding="utf-8")


def _call(command: Sequence[str | Path], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(command, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)


def main(arguments: Sequence[str]) -> None:
    costs = []
    with tempfile.TemporaryDirectory(prefix="cmet-dvc-") as scratch:
        for size in map(int, arguments) if arguments else SIZES:
            for cost in idle(size, Path(scratch)):
                costs.append(cost)
                print(cost, f"load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
    print(table_of(costs))


if __name__ == "__main__":
    main(sys.argv[1:])
