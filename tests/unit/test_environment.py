"""What a run was computed on."""

import getpass
import json
import platform
import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from cmet import environment
from cmet.environment import PACKAGES, describe_environment

OPEN_DRIVER = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (someone@builder)  Tue Sep 23\n"
    "GCC version:  gcc version 13.3.0 (Ubuntu 13.3.0-6ubuntu2)\n"
)
DRIVER = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\n"


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
    monkeypatch.setattr(environment, "_text", lambda path: OPEN_DRIVER)
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
