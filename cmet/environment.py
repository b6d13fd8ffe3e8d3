"""What numbers were computed on: versions, processor, memory and GPUs, and nothing that tells whose machine it was."""

import os
import platform
import re
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from cmet.doctor.finding import GIB
from cmet.doctor.machine import cgroups, memory, usable_cores

PACKAGES = (
    "av",
    "cmet",
    "decord",
    "espeakng-loader",
    "funasr",
    "mediapipe",
    "numpy",
    "opencv-python-headless",
    "opensmile",
    "pandas",
    "pyarrow",
    "safetensors",
    "scikit-learn",
    "scipy",
    "soundfile",
    "soxr",
    "torch",
    "torchaudio",
    "webdataset",
)
"""Distributions whose version can change a number."""


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
        "versions": _versions(),
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


@cache
def _versions() -> Mapping[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            # a part of the pipeline that is not installed decided nothing
            continue
    return found


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
