"""What a run was computed on, and what it may use."""

import getpass
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from cmet import environment
from cmet.environment import (
    GIB,
    PACKAGES,
    best_device,
    cgroups,
    count_workers,
    describe_environment,
    memory,
    own_version,
    usable_cores,
    usable_gpus,
)

OPEN_DRIVER = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (someone@builder)  Tue Sep 23\n"
    "GCC version:  gcc version 13.3.0 (Ubuntu 13.3.0-6ubuntu2)\n"
)
DRIVER = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\n"

CORES = 8
"""Of the made-up machine."""


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Path]]:
    """Groups of a process on a machine of eight cores, from its list and the files of the tree they are in."""

    def make(own: str, **files: str) -> list[Path]:
        (tmp_path / "own").write_text(own)
        for name, text in files.items():
            path = tmp_path / "cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        found = cgroups(tmp_path / "cgroup", tmp_path / "own")
        monkeypatch.setattr(environment, "cgroups", lambda: found)
        return found

    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(CORES)))
    monkeypatch.delenv("CMET_WORKERS", raising=False)
    return make


V1 = "5:memory:/box\n4:cpu,cpuacct:/box/inner\n1:name=systemd:/box\n0::/\n"
V2 = "0::/box/inner\n"


@pytest.mark.parametrize(
    ("own", "files", "cores", "workers"),
    [
        (V2, {"box/inner/cpu.max": "400000 100000\n"}, 4, 4),
        (V2, {"box/inner/cpu.max": "max 100000\n", "box/cpu.max": "250000 100000\n"}, 2.5, 3),
        (V2, {"box/inner/cpu.max": "50000 100000\n"}, 0.5, 1),
        (V2, {"box/inner/cpu.max": "1600000 100000\n"}, CORES, CORES),
        (V2, {"box/inner/cpu.max": "max 100000\n"}, CORES, CORES),
        # a container sees its own group as the root, and the path of the host in its list
        ("0::/\n", {"cpu.max": "400000 100000\n"}, 4, 4),
        (V1, {"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4, 4),
        (
            V1,
            {
                "cpu,cpuacct/box/inner/cpu.cfs_quota_us": "-1\n",
                "cpu,cpuacct/box/inner/cpu.cfs_period_us": "100000\n",
                "cpu,cpuacct/box/cpu.cfs_quota_us": "75000\n",
                "cpu,cpuacct/box/cpu.cfs_period_us": "50000\n",
            },
            1.5,
            2,
        ),
        (V1, {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, CORES, CORES),
        ("", {}, CORES, CORES),
    ],
)
def test_cores_are_the_affinity_or_a_quota_below_it(
    groups: Callable[..., list[Path]], own: str, files: dict[str, str], cores: float, workers: int
) -> None:
    assert usable_cores(groups(own, **files)) == cores
    assert count_workers() == workers


def test_the_affinity_counts_where_it_is_below_the_quota(
    groups: Callable[..., list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5})
    assert usable_cores(groups(V2, **{"box/cpu.max": "400000 100000\n"})) == 2


def test_a_number_of_workers_that_is_asked_for_is_taken(
    groups: Callable[..., list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    groups(V2, **{"box/cpu.max": "400000 100000\n"})
    monkeypatch.setenv("CMET_WORKERS", "11")
    assert count_workers() == 11


@pytest.mark.parametrize(
    ("own", "files"),
    [
        (
            V2,
            {
                "box/memory.max": f"{GIB // 2}\n",
                "box/memory.current": f"{GIB // 4}\n",
                "box/memory.stat": f"anon 1\ninactive_file {GIB // 8}\n",
            },
        ),
        (
            V1,
            {
                "memory/box/memory.limit_in_bytes": f"{GIB // 2}\n",
                "memory/box/memory.usage_in_bytes": f"{GIB // 4}\n",
                "memory/box/memory.stat": f"cache 1\ninactive_file {GIB // 8}\n",
                "memory/memory.limit_in_bytes": "9223372036854771712\n",
            },
        ),
    ],
)
def test_memory_is_that_of_the_machine_or_a_limit_below_it(
    groups: Callable[..., list[Path]], own: str, files: dict[str, str]
) -> None:
    total, available, limit = memory(groups(own, **files))
    assert (available, limit) == (3 * GIB / 8, GIB / 2)
    assert total > limit


@pytest.mark.parametrize("text", ["max\n", "9223372036854771712\n"])
def test_no_limit_of_memory_is_none(groups: Callable[..., list[Path]], text: str) -> None:
    name = "memory.max" if text == "max\n" else "memory.limit_in_bytes"
    assert memory(groups("0::/\n", **{name: text}))[2] is None


@pytest.mark.parametrize(("has_gpu", "device"), [(True, "cuda"), (False, "cpu")])
def test_networks_run_on_a_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch, has_gpu: bool, device: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    assert best_device() == torch.device(device)


@pytest.mark.parametrize(
    ("visible", "num_gpus", "names"),
    [(None, 0, []), (None, 2, ["0", "1"]), ("5, GPU-8f", 2, ["5", "GPU-8f"]), ("", 0, []), ("3,99", 1, ["3"])],
)
def test_gpus_are_named_as_they_are_handed_on(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, num_gpus: int, names: list[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: num_gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: num_gpus)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert usable_gpus() == names


def test_it_names_the_software_and_the_machine() -> None:
    found = describe_environment()
    assert found["python"] == platform.python_version()
    assert found["versions"]["numpy"]
    assert found["versions"]["cmet"]
    assert found["processor"]["model"]
    assert found["processor"]["num_usable_cores"] > 0
    assert found["memory_gib"] > 0
    assert found["torch"]["num_threads"] == torch.get_num_threads()
    assert found["torch"]["is_deterministic"] is False
    assert json.loads(json.dumps(found)) == found


def test_it_says_nothing_personal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CMET_SECRET", "a value of the environment")
    text = json.dumps(describe_environment())
    assert not re.search(r'"/|\\\\|a value of the environment', text)
    for personal in (platform.node(), str(Path.home()), getpass.getuser()):
        assert not re.search(rf"\b{re.escape(personal)}\b", text)


def test_torch_is_not_imported_for_it() -> None:
    code = "import sys; from cmet.environment import *; print(describe_environment()['torch'], 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["None", "False"]


def test_gpus_are_named_with_their_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    gpu = SimpleNamespace(name="NVIDIA X", total_memory=80 * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: gpu)
    monkeypatch.setattr(environment, "_text", lambda path: OPEN_DRIVER if path.name == "version" else "")
    found = describe_environment()["torch"]
    assert found["device"] == "cuda"
    assert found["gpus"] == [{"name": "NVIDIA X", "memory_gib": 80.0}] * 2
    assert found["driver"] == "580.95.05"


@pytest.mark.parametrize(("text", "version"), [(OPEN_DRIVER, "580.95.05"), (DRIVER, "550.54.15"), (None, None)])
def test_a_driver_is_its_version_only(text: str | None, version: str | None, tmp_path: Path) -> None:
    if text:
        (tmp_path / "version").write_text(text, encoding="utf-8")
    assert environment._driver(tmp_path / "version") == version


def test_a_processor_without_a_name_is_its_architecture(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nCPU part\t: 0xd0c\n", encoding="utf-8")
    assert environment._processor(tmp_path / "cpuinfo") == platform.machine()


def test_every_library_pinned_for_an_edit_is_among_the_packages() -> None:
    pinned = {text.partition("==")[0] for text in requires("cmet") or [] if "==" in text and "extra ==" not in text}
    assert pinned <= set(PACKAGES)


def test_work_is_bound_to_the_versions_of_the_libraries_it_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = dict(environment.versions())
    before = {name: environment.work_digest(name) for name in ("cmet.connector.losses", "cmet.speech.scaling")}
    monkeypatch.setattr(environment, "versions", lambda: installed | {"torch": "99"})
    assert environment.work_digest("cmet.connector.losses") != before["cmet.connector.losses"]
    assert environment.work_digest("cmet.speech.scaling") == before["cmet.speech.scaling"]


def test_the_version_is_that_of_the_checkout_where_nothing_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_installed(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(environment, "version", not_installed)
    assert own_version() == version("cmet")
