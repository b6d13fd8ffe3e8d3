"""What this process runs on and may use of it: cores, memory, GPU and versions, and nothing that tells whose it is."""

import gc
import hashlib
import math
import os
import platform
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cmet.closure import PACKAGE, closure, code_digest

# torch takes seconds to import, and most of what asks about the machine needs none
if TYPE_CHECKING:
    import torch

GIB = 2**30

NUM_WORKERS_ON_GPU = 2
"""Processes that share a GPU: one decodes and writes video while the other computes."""

LIBRARIES = {
    "PIL": "pillow",
    "av": "av",
    "cv2": "opencv-contrib-python",
    "decord": "decord",
    "espeakng_loader": "espeakng-loader",
    "jinja2": "jinja2",
    "matplotlib": "matplotlib",
    "mediapipe": "mediapipe",
    "numpy": "numpy",
    "opensmile": "opensmile",
    # both write their versions into every Parquet file; pandas imports pyarrow for it
    "pandas": "pandas",
    "pyarrow": "pyarrow",
    "python_speech_features": "python-speech-features",
    "scipy": "scipy",
    "soundfile": "soundfile",
    "soxr": "soxr",
    "torch": "torch",
    "torch_fidelity": "torch-fidelity",
    "torchaudio": "torchaudio",
    "webdataset": "webdataset",
}
"""Libraries whose version can change numbers or bytes of outputs: the name in imports, and that of the distribution."""

SYSTEM_PACKAGES = ("libegl1", "libgles2", "libgl1", "libglib2.0-0")
"""Packages of Debian and Ubuntu with what MediaPipe (the first two) and OpenCV load from the system."""

_MISSING_LIBRARY = re.compile(
    r"(lib(?:EGL|GLESv2|GL|GLX|X11|xcb|glib-2\.0|gthread-2\.0)\.so\.\d+): cannot open shared object"
)

PACKAGES = ("cmet", "funasr", "safetensors", *LIBRARIES.values())
"""Distributions that a description names; FunASR is not among the locked ones."""


@contextmanager
def many_imports() -> Iterator[None]:
    """A block that imports large libraries: garbage is not looked for among a million objects that all stay."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def count_workers() -> int:
    """Processes or threads that fill what this process may use, or CMET_WORKERS."""
    return int(os.environ.get("CMET_WORKERS") or math.ceil(usable_cores(cgroups())))


def usable_gpus() -> list[str]:
    """GPUs that this process may use, by the names that CUDA_VISIBLE_DEVICES has for them."""
    import torch

    if not torch.cuda.is_available():
        return []
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return (named or [str(number) for number in range(torch.cuda.device_count())])[: torch.cuda.device_count()]


def best_device() -> "torch.device":
    """A GPU where there is one."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def usable_cores(groups: Sequence[Path]) -> float:
    """Cores this process may use: its affinity, or the quota of its cgroups where that is less."""
    cores = float(len(os.sched_getaffinity(0)))
    for folder in groups:
        # version 2 has one file, with "max" for no limit; version 1 has two, with -1
        quota = _words(folder / "cpu.max")
        quota = quota or _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us")
        if len(quota) == 2 and quota[0] not in ("max", "-1"):
            cores = min(cores, int(quota[0]) / int(quota[1]))
    return cores


def memory(groups: Sequence[Path]) -> tuple[float, float, float | None]:
    """Bytes of memory: in the machine, available to this process, and the limit of its cgroups."""
    lines = (line.split() for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
    info = {line[0].rstrip(":"): int(line[1]) * 1024.0 for line in lines}
    available, limit = info["MemAvailable"], None
    for folder in groups:
        allowed = _words(folder / "memory.max") or _words(folder / "memory.limit_in_bytes")
        # version 1 says "no limit" by a number larger than any memory
        if allowed and allowed[0] != "max" and int(allowed[0]) < info["MemTotal"]:
            used = int((_words(folder / "memory.current") or _words(folder / "memory.usage_in_bytes") or ["0"])[0])
            stat = _words(folder / "memory.stat")
            # the page cache counts as used and is given back when memory is short
            cache = int(stat[stat.index("inactive_file") + 1]) if "inactive_file" in stat else 0
            available = min(available, float(allowed[0]) - used + cache)
            limit = min(limit or info["MemTotal"], float(allowed[0]))
    return info["MemTotal"], available, limit


def cgroups(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> list[Path]:
    """Folders in which limits of this process can stand, of both versions of cgroups.

    Args:
        root: Where they are mounted.
        own: The list of those that this process is in.
    """
    found = [root / name for name in ("", "memory", "cpu")]
    for line in _text(own).splitlines():
        _, controllers, name = line.split(":", 2)
        folder = root / controllers / name.lstrip("/")
        found += [folder, *folder.parents]
    return [folder for folder in dict.fromkeys(found) if folder.is_relative_to(root) and folder.is_dir()]


def describe_environment() -> dict[str, Any]:
    """The machine and the software of this process, as JSON values.

    What torch says is as it is now, and null in a process that has not imported it.
    """
    groups = cgroups()
    total, _, limit = memory(groups)
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": {
            "model": _processor(Path("/proc/cpuinfo")),
            "num_cores": os.cpu_count(),
            "num_usable_cores": usable_cores(groups),
        },
        "memory_gib": round((limit or total) / GIB, 1),
        "torch": _torch(),
        "versions": versions(),
    }


def _processor(cpuinfo: Path) -> str:
    """Name of the processor; some architectures have none there."""
    found = re.search(r"^model name\s*:\s*(.+)$", _text(cpuinfo), re.MULTILINE)
    return found.group(1) if found else platform.machine()


def _driver(file: Path) -> str | None:
    """Version of the NVIDIA driver; the line it stands in can name who built it."""
    found = re.search(r"\s(\d+\.\d[\d.]*)\s", _text(file))
    return found.group(1) if found else None


def _torch() -> dict[str, Any] | None:
    if "torch" not in sys.modules:
        # seconds of import would be spent on a description
        return None
    import torch

    is_cuda = torch.cuda.is_available()
    gpus = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count() if is_cuda else 0)]
    return {
        "version": torch.__version__,
        "device": "cuda" if is_cuda else "cpu",
        "gpus": [{"name": gpu.name, "memory_gib": round(gpu.total_memory / GIB, 1)} for gpu in gpus],
        "driver": _driver(Path("/proc/driver/nvidia/version")) if is_cuda else None,
        "cuda": torch.version.cuda,
        "num_threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "is_deterministic": torch.are_deterministic_algorithms_enabled(),
        "is_cudnn_deterministic": torch.backends.cudnn.deterministic,
        "has_cudnn_benchmark": torch.backends.cudnn.benchmark,
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
    }


def own_version() -> str:
    """Version of cmet, as it is installed; of the checkout where it is not."""
    try:
        return version("cmet")
    except PackageNotFoundError:
        import tomllib

        project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
        return str(project["project"]["version"])


@cache
def versions() -> Mapping[str, str]:
    """Versions of the distributions among `PACKAGES` that are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            # a part of the pipeline that is not installed decided nothing
            continue
    return found


def known_versions() -> Mapping[str, str]:
    """Versions of Python, cmet and the libraries that change numbers; for cmet with a digest of its code."""
    digest = hashlib.sha256()
    for file in sorted(PACKAGE.rglob("*.py")):
        digest.update(file.relative_to(PACKAGE).as_posix().encode() + file.read_bytes())
    code = digest.hexdigest()[:8]
    return {"Python": platform.python_version(), **versions(), "cmet": f"{own_version()} (code {code})"}


def missing_library(said: str) -> str | None:
    """A sentence where the text of an error says that MediaPipe or OpenCV miss a library of the system."""
    found = _MISSING_LIBRARY.search(said)
    if found is None:
        return None
    return (
        f"{found.group(1)} is missing, which MediaPipe and OpenCV load from the system, also where there is no screen; "
        f"on Debian and Ubuntu: apt-get install {' '.join(SYSTEM_PACKAGES)}"
    )


def work_digest(begin: str, chosen: tuple[str, ...] = ()) -> str:
    """SHA-256 of the code that a module reaches, and of the installed versions of the libraries that it imports.

    Unfinished work, finished runs and Dagster's code versions are bound to it.

    Args:
        begin: Name of the module.
        chosen: Keys of registries that are meant, see `cmet.closure.closure`.
    """
    installed = versions()
    imported = sorted(closure(begin, chosen).libraries.keys() & LIBRARIES.keys())
    parts = [code_digest(begin, chosen), *(f"{name} {installed.get(LIBRARIES[name])}" for name in imported)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _words(path: Path) -> list[str]:
    return _text(path).split()
