"""What is said of processor, memory and disks."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cmet.doctor.finding import Finding, Findings, gib
from cmet.environment import GIB, cgroups, usable_cores

MEMORY_NEEDED = 1.5 * GIB
"""The sample was measured at 1.0 GiB on two cores."""
MEMORY_COMFORTABLE = 4 * GIB
DISK_NEEDED = 1 * GIB
"""The sample leaves 0.4 GiB behind."""
DISK_COMFORTABLE = 20 * GIB
SHARED_COMFORTABLE = 256 * 2**20
STEAL_NOTED = 0.05

WRITTEN = ("data", ".work", "reports")
"""Folders of a project that the stages write to."""


def probe_cores(cores: float, which: Callable[[str], str | None] = shutil.which) -> Findings:
    """Cores that may be used, and whether torch can compile networks for them."""
    if cores < 2:
        yield Finding(
            "cores", "note", f"{cores:.2g} usable", "clips are prepared one after another; two cores or more are faster"
        )
    else:
        yield Finding("cores", "ok", f"{cores:.3g} usable")
    # the one program that torch calls
    wanted = os.environ.get("CXX", "g++")
    if which(wanted) is None:
        other = next((name for name in ("g++", "clang++", "c++") if which(name)), None)
        yield Finding(
            "compiler",
            "note",
            f"no C++ compiler {wanted}; --compile and `inference.compile` need one on a CPU",
            f"export CXX={other}" if other else "install g++ to use them; nothing else needs it",
        )


def probe_memory(total: float, available: float, limit: float | None) -> Findings:
    """Memory that is left."""
    found = f"{gib(available)} available of {gib(total)}"
    if limit is not None:
        found += f", limited to {gib(limit)} by the container or service"
    if available < MEMORY_NEEDED:
        yield Finding(
            "memory", "problem", found, f"the sample needs {gib(MEMORY_NEEDED)}: end other programs or raise the limit"
        )
    elif available < MEMORY_COMFORTABLE:
        yield Finding("memory", "note", found, "enough for the sample; real corpora run better with 4 GiB or more")
    else:
        yield Finding("memory", "ok", found)


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    return path if path.exists() else _existing(path.parent)


def free_bytes(path: Path) -> int:
    """Free space of the file system that a file or folder is on, or would be."""
    return shutil.disk_usage(_existing(path)).free


def probe_disk(
    project: Path,
    free: Callable[[Path], int] = free_bytes,
    device: Callable[[Path], int] = lambda path: _existing(path).stat().st_dev,
) -> Findings:
    """Free space where the stages write, and whether finished work can be moved by a rename."""
    folders = {
        "project": project,
        "data": project / "data",
        ".work": project / ".work",
        "tmp": Path(tempfile.gettempdir()),
    }
    by_device: dict[int, list[str]] = {}
    for name, folder in folders.items():
        by_device.setdefault(device(folder), []).append(name)
    for names in by_device.values():
        space = free(folders[names[0]])
        found = f"{gib(space)} free for {', '.join(names)}" + (" (one file system)" if len(names) > 1 else "")
        if space < DISK_NEEDED:
            yield Finding("disk", "problem", found, f"the sample needs {gib(DISK_NEEDED)}: make room")
        elif space < DISK_COMFORTABLE and names != ["tmp"]:
            yield Finding("disk", "note", found, "enough for the sample; a prepared corpus takes tens of GiB")
        else:
            yield Finding("disk", "ok", found)
    if device(folders["data"]) != device(folders[".work"]):
        yield Finding(
            "disk",
            "problem",
            "data and .work are on different file systems, so finished work cannot be renamed into place",
            "put both on one, for example both as links to folders of the same disk",
        )


def probe_write_rights(project: Path) -> Findings:
    """Whether the stages can write where they write; tried with a file that never has a name."""
    refused = []
    for name in WRITTEN:
        try:
            with tempfile.TemporaryFile(dir=_existing(project / name)):
                pass
        except OSError as error:
            refused.append(f"{name} ({error.strerror})")
    if refused:
        yield Finding("write rights", "problem", f"no files can be made in {', '.join(refused)}", "chown or remount it")
    else:
        yield Finding("write rights", "ok", f"{', '.join(WRITTEN)} can be written")


def probe_shared_memory(free_bytes: int) -> Findings:
    """Space for arrays that processes share."""
    found = f"{free_bytes / 2**20:.0f} MiB free in /dev/shm"
    if free_bytes < SHARED_COMFORTABLE:
        yield Finding(
            "shared memory",
            "note",
            found,
            "little for processes that share arrays; in Docker, start with --shm-size=2g",
        )
    else:
        yield Finding("shared memory", "ok", found)


def probe_load(pause_s: float = 0.5) -> Findings:
    """How busy the machine is, and how much of its time the host gives to others."""
    before = _cpu_times()
    time.sleep(pause_s)
    spent = [after - start for start, after in zip(before, _cpu_times(), strict=True)]
    yield from judge_load(os.getloadavg()[0], usable_cores(cgroups()), spent[7] / max(1, sum(spent[:8])))


def judge_load(load: float, cores: float, steal: float) -> Findings:
    """What load and stolen time mean for measurements."""
    found = f"load {load:.1f} on {cores:.3g} cores, {steal:.0%} of the processor time stolen by the host"
    if steal > STEAL_NOTED or load > cores:
        yield Finding("load", "note", found, "times measured now will vary; compare only runs of the same few minutes")
    else:
        yield Finding("load", "ok", found)


def _cpu_times() -> list[int]:
    first = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0]
    return [int(word) for word in first.split()[1:]]
