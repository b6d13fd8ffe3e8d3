"""What may go of all that a project has piled up, and how it goes.

Kept are what a running stage holds, everything behind a link, and what this program has not written. Weights, scores of
other methods and a user's own data are not looked at.
"""

import os
import re
import shutil
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from cmet.errors import UserError
from cmet.experiments import OUTPUTS
from cmet.places import COMPILED, COPIES, MADE, PASSING, WORK, holder, only_run
from cmet.stages.registry import STAGES
from cmet.text_tables import padded
from cmet.trees import all_below

DATA, REPORTS = OUTPUTS
RESULTS = ("metrics", "sweep", "unseen", "extended")
"""Folders of `data` that this program writes beside those of its stages."""

KEY = re.compile(r"[0-9a-f]{16}")
"""Name of a folder of unfinished work (`cmet.places.work_folder`)."""

FETCHED = "runs"
"""Folder among unfinished work with files that `cmet compare` has fetched from MLflow."""

REMOVING = re.compile(r"^Removing (.+)$", re.MULTILINE)
"""What `dvc gc --dry` says of each entry."""

Kind = Literal["work", "runs", "cache", "outputs"]
TITLES: dict[Kind, str] = {
    "work": "Unfinished work that an interrupted stage would resume",
    "runs": "Runs in MLflow",
    "cache": "DVC's cache",
    "outputs": "Outputs",
}

BEHIND_LINK = "it is a link or lies behind one"

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


@dataclass(frozen=True)
class Leftover:
    """Something that may go, or that could if nothing held it."""

    kind: Kind
    what: str
    """`train@facemesh`, or other words for a person."""
    path: Path
    """From the project."""
    size_bytes: int
    """What its removal frees."""
    age_s: float | None
    """Since it last changed; None where that says nothing."""
    kept: str | None = None
    """Why it stays."""
    locks: tuple[Path, ...] = ()
    """Those who work with it hold one of these, from the project."""
    run_ids: tuple[str, ...] = ()
    """Runs of MLflow that it consists of."""


@dataclass(frozen=True)
class Cleaning:
    """What there was, and what became of it."""

    leftovers: Sequence[Leftover]
    is_removed: bool
    """Whether all that are not kept are gone."""

    @property
    def size_bytes(self) -> int:
        """What is or would be freed."""
        return sum(one.size_bytes for one in self.leftovers if one.kept is None)


def find_leftovers(root: Path, has_outputs: bool, num_kept_runs: int | None = None) -> list[Leftover]:
    """All that may go of a project.

    Args:
        root: Its folder.
        has_outputs: Whether what the stages have made is meant too, and not only what is of no use any more.
        num_kept_runs: How many runs of MLflow stay, of each stage and backbone; all when None.

    Raises:
        UserError: MLflow's store is asked for and does not answer, or is a server.
    """
    root = root.resolve()
    found = [one for one in (*_work(root), *_unpublished(root)) if os.path.lexists(root / one.path)]
    if num_kept_runs is not None:
        found += _runs(root, num_kept_runs)
    running = _running(root)
    in_use = f"in use: {', '.join(running)}" if running else None
    found += [replace(one, kept=one.kept or in_use) for one in _cache(root)]
    if has_outputs:
        found += [replace(one, kept=one.kept or in_use) for one in _outputs(root)]
    return found


def remove(root: Path, leftovers: Sequence[Leftover]) -> Cleaning:
    """Remove what is not kept; what has come to be held meanwhile stays.

    Raises:
        UserError: DVC could not clear its cache, or MLflow not remove its runs.
    """
    root = root.resolve()
    return Cleaning([_removed(root, one) for one in leftovers], is_removed=True)


def printed_leftovers(leftovers: Sequence[Leftover]) -> str:
    """What there is, for a person."""
    parts = []
    for kind, title in TITLES.items():
        lines = [_line(one) for one in leftovers if one.kind == kind]
        if lines:
            parts += [title, *("  " + "  ".join(cells).rstrip() for cells in padded(lines, [False, True, True, False]))]
    total = said_size(Cleaning(leftovers, is_removed=False).size_bytes)
    return "\n".join([*parts, f"{total} can be freed in all." if parts else "There is nothing to remove."])


def said_size(num_bytes: float) -> str:
    """A size for people: `1.5 GiB`."""
    unit = 0
    while num_bytes >= 1024 and unit < len(UNITS) - 1:
        num_bytes, unit = num_bytes / 1024, unit + 1
    return f"{num_bytes:.1f} {UNITS[unit]}" if unit else f"{num_bytes:.0f} B"


def said_age(seconds: float) -> str:
    """An age for people: `3 days`."""
    for length_s, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= length_s:
            number = int(seconds // length_s)
            return f"{number} {unit}{'' if number == 1 else 's'}"
    return "less than a minute"


def _line(one: Leftover) -> list[str]:
    age = "" if one.age_s is None else f"{said_age(one.age_s)} old"
    return [one.what, said_size(one.size_bytes), age, f"kept, {one.kept}" if one.kept else str(one.path)]


def _work(root: Path) -> Iterator[Leftover]:
    """Unfinished work of stages, by themselves and in studies."""
    work = root / WORK
    if _is_behind_link(root, work):
        yield _leftover(root, "work", WORK, work)
    elif work.is_dir():
        if (work / FETCHED).is_dir():
            yield _leftover(root, "work", "files fetched from MLflow", work / FETCHED)
        for folder in sorted((work / PASSING).glob("*")):
            yield _leftover(root, "work", f"map over clips {folder.name}, of a run that was killed", folder)
        if any(path.is_file() for path, _ in all_below(work / COMPILED)):
            yield _leftover(root, "work", "networks that torch has compiled", work / COMPILED)
        for folder in sorted((work / MADE).glob("*")):
            lock = work / f"{folder.name}.lock"
            yield _leftover(root, "work", f"what each clip of {_as_dvc_says(folder.name)} was made of", folder, [lock])
        for folder in sorted((work / COPIES).glob("*")):
            lock = work / f"experiment-{folder.name}.lock"
            yield _leftover(root, "work", f"copy of the project for experiment {folder.name}", folder, [lock])
        for folder in _steps(work):
            # a study holds one lock for all that it does
            parts = folder.relative_to(work).parts
            locks = (folder.with_name(f"{folder.name}.lock"), work / f"{parts[0]}.lock")
            study = f" of {'/'.join(parts[:-1])}" if len(parts) > 1 else ""
            yield _leftover(root, "work", _as_dvc_says(folder.name) + study, folder, locks)


def _steps(folder: Path) -> Iterator[Path]:
    """Folders with the unfinished work of one stage, at any depth."""
    for path in _inside(folder):
        if path.is_dir() and not path.is_symlink() and path.name not in (COMPILED, COPIES):
            if any(KEY.fullmatch(below.name) for below in _inside(path)):
                yield path
            else:
                yield from _steps(path)


def _inside(folder: Path) -> list[Path]:
    """What is in a folder; nothing where a run that has ended meanwhile took it away."""
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []


def _unpublished(root: Path) -> Iterator[Leftover]:
    """Folders that a killed run has left beside its output, see `cmet.outputs.fresh_folder`."""
    data = root / DATA
    for path in sorted([*data.glob(".*.unfinished"), *data.glob("*/.*.unfinished")]):
        names = [*path.parent.relative_to(data).parts, path.name[1:].removesuffix(".unfinished")]
        if names[0] in (*STAGES, *RESULTS):
            step = "-".join(names)
            locks = [root / WORK / f"{name}.lock" for name in (step, names[0])]
            yield _leftover(root, "work", f"{_as_dvc_says(step)}, half written", path, locks)


def _runs(root: Path, num_kept: int) -> Iterator[Leftover]:
    """Runs of MLflow with their files; what the store itself needs for them is little."""
    from cmet.tracking.old_runs import find_old_runs

    found = find_old_runs(root, num_kept)
    if found:
        folders = [folder for folders in found.values() for folder in folders if folder.is_dir()]
        size_bytes = sum(measured(folder)[0] for folder in folders)
        what = f"{len(found)} beside the newest {num_kept} of each stage and backbone"
        yield Leftover("runs", what, Path("mlruns"), size_bytes, None, run_ids=tuple(found))


def _cache(root: Path) -> Iterator[Leftover]:
    """What DVC would clear away of its cache; it says so itself."""
    if not (root / ".dvc").is_dir():
        return
    dvc = _dvc()
    if dvc is None:
        kept = "the command dvc, which knows what is in use, is not installed"
        yield Leftover("cache", "entries", Path(".dvc/cache"), 0, None, kept)
        return
    done = _collected(root, dvc, "--dry")
    if done.returncode:
        yield Leftover("cache", "entries", Path(".dvc/cache"), 0, None, f"dvc says: {_said_by_dvc(done.stderr)}")
        return
    entries = [Path(path) for path in REMOVING.findall(done.stdout)]
    if not entries:
        return
    is_outside = any(not entry.resolve().is_relative_to(root) for entry in entries)
    yield Leftover(
        "cache",
        f"{len(entries)} entr{'y' if len(entries) == 1 else 'ies'} that this checkout does not use; other commits may",
        Path(os.path.relpath(os.path.commonpath(entries), root)),
        sum(measured(entry)[0] for entry in entries),
        None,
        "it lies outside the project, where others may use it" if is_outside else None,
    )


def _outputs(root: Path) -> Iterator[Leftover]:
    """What stages and studies have made; `dvc checkout` brings back of it what DVC still has."""
    data = root / DATA
    if _is_behind_link(root, data):
        yield _leftover(root, "outputs", DATA, data)
    elif data.is_dir():
        for path in sorted(data.iterdir()):
            if path.name in (*STAGES, *RESULTS):
                yield _leftover(root, "outputs", path.name, path, _locks_of(root, path))
            elif not path.name.startswith("."):
                yield replace(_leftover(root, "outputs", path.name, path), kept="no stage writes it")
    if os.path.lexists(root / REPORTS):
        yield _leftover(root, "outputs", REPORTS, root / REPORTS, [root / WORK / "report.lock"])


def _locks_of(root: Path, output: Path) -> list[Path]:
    """What those hold who write into a folder of `data`."""
    steps = [output.name]
    if output.name in STAGES and STAGES[output.name].per != "project":
        steps = [f"{output.name}-{variant.name}" for variant in _inside(output)]
    return [root / WORK / f"{step}.lock" for step in steps]


def _leftover(root: Path, kind: Kind, what: str, path: Path, locks: Sequence[Path] = ()) -> Leftover:
    locks = list(dict.fromkeys(locks))
    is_link = _is_behind_link(root, path)
    holders = [pid for lock in locks if (pid := holder(lock)) is not None]
    kept = BEHIND_LINK if is_link else f"in use (pid {holders[0]})" if holders else None
    size_bytes, changed_s = (0, path.lstat().st_mtime) if is_link else measured(path)
    age_s = max(0.0, time.time() - changed_s)
    named = tuple(lock.relative_to(root) for lock in locks)
    return Leftover(kind, what, path.relative_to(root), size_bytes, age_s, kept, named)


def measured(path: Path) -> tuple[int, float]:
    """What the removal of a file or folder frees, and when something in it last changed.

    A file of which another name stays elsewhere frees nothing.
    """
    names: Counter[tuple[int, int]] = Counter()
    sizes: dict[tuple[int, int], tuple[int, int]] = {}
    try:
        own = path.lstat()
    except FileNotFoundError:
        # a run that has ended meanwhile took it away
        return 0, time.time()
    changed_s = own.st_mtime
    for facts in (own, *(facts for _, facts in all_below(path))):
        if not stat.S_ISDIR(facts.st_mode):
            file = (facts.st_dev, facts.st_ino)
            names[file] += 1
            sizes[file] = (facts.st_size, facts.st_nlink)
        changed_s = max(changed_s, facts.st_mtime)
    freed = (size for file, (size, num_names) in sizes.items() if names[file] == num_names)
    return sum(freed), changed_s


def _is_behind_link(root: Path, path: Path) -> bool:
    return any(one.is_symlink() for one in (path, *path.parents) if root in one.parents)


def _as_dvc_says(step: str) -> str:
    """`train-facemesh` is `train@facemesh`."""
    stage, _, variant = step.partition("-")
    return f"{stage}@{variant}" if variant and stage in STAGES else step


def _removed(root: Path, one: Leftover) -> Leftover:
    """The same, kept where it has come to be held since it was found."""
    if one.kept is not None:
        return one
    if one.kind == "runs":
        from cmet.tracking.old_runs import remove_runs

        remove_runs(root, one.run_ids)
        return one
    if one.kind != "work" and (running := _running(root)):
        return replace(one, kept=f"in use: {', '.join(running)}")
    if one.kind == "cache":
        _clear_cache(root)
        return one
    try:
        with ExitStack() as held:
            # until it is gone nobody begins to work with it
            for lock in one.locks:
                held.enter_context(only_run(root / lock, lock.stem))
            if _is_behind_link(root, root / one.path):
                return replace(one, kept=BEHIND_LINK)
            # the run that it was of may have ended since
            if (root / one.path).exists():
                shutil.rmtree(root / one.path)
    except UserError as error:
        return replace(one, kept=str(error))
    _drop_empty(root / one.path.parent, root / WORK)
    return one


def _drop_empty(folder: Path, end: Path) -> None:
    """Remove folders that have become empty, from the inside out and only below `end`."""
    while end in folder.parents and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def _running(root: Path) -> list[str]:
    """Stages and studies that are at work."""
    return [_as_dvc_says(lock.stem) for lock in sorted((root / WORK).glob("*.lock")) if holder(lock) is not None]


def _clear_cache(root: Path) -> None:
    dvc = _dvc()
    done = _collected(root, dvc, "--force") if dvc else None
    if done is None or done.returncode:
        raise UserError(f"dvc gc: {_said_by_dvc(done.stderr) if done else 'the command dvc is not installed'}")


def _dvc() -> str | None:
    """The command of this Python, or else one in the path."""
    return shutil.which("dvc", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))


def _collected(root: Path, dvc: str, how: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [dvc, "gc", "--workspace", how],
        cwd=root,
        env=os.environ | {"DVC_NO_ANALYTICS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def _said_by_dvc(text: str) -> str:
    """Its error among all that it says."""
    lines = text.strip().splitlines() or ["nothing"]
    return next((line for line in lines if line.startswith("ERROR")), lines[-1]).removeprefix("ERROR: ")
