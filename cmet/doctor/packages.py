"""Installed packages against what cmet and the packages themselves ask for."""

import importlib.metadata
import platform
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from cmet.doctor.finding import Finding, Findings
from cmet.weights.extras import install_command, repair_advice

PIPELINE = "pipeline"
EXTRAS_OF_SAMPLE = frozenset({"", PIPELINE})
OPENCV = "opencv-contrib-python"
"""The build of OpenCV that MediaPipe asks for; each build brings the folder `cv2`."""
OTHER_OPENCVS = ("opencv-contrib-python-headless", "opencv-python", "opencv-python-headless")


def installed() -> dict[str, str]:
    """Version by canonical name of everything that is installed."""
    return {canonicalize_name(found.name): found.version for found in importlib.metadata.distributions()}


def requirements(root: Path) -> dict[str, list[Requirement]]:
    """What cmet asks for, by extra; "" is what it always needs.

    The project's own pyproject.toml is read where there is one: the metadata of an editable install are as old as the
    installation.
    """
    declared = _declared(root)
    if declared:
        texts = {"": declared["dependencies"], **declared.get("optional-dependencies", {})}
        return {extra: [Requirement(text) for text in lines] for extra, lines in texts.items()}
    asked = [Requirement(text) for text in importlib.metadata.requires("cmet") or []]
    extras = ["", *(importlib.metadata.metadata("cmet").get_all("Provides-Extra") or [])]
    base = [one for one in asked if one.marker is None or one.marker.evaluate({"extra": ""})]
    return {"": base} | {
        extra: [one for one in asked if one not in base and one.marker and one.marker.evaluate({"extra": extra})]
        for extra in extras[1:]
    }


def _declared(root: Path) -> dict[str, Any]:
    """The table `project` of the pyproject.toml of cmet, empty where there is none."""
    file = root / "pyproject.toml"
    table = tomllib.loads(file.read_text(encoding="utf-8")).get("project", {}) if file.is_file() else {}
    return table if table.get("name") == "cmet" else {}


def wanted_python(root: Path) -> str:
    """Versions of Python that cmet asks for."""
    return _declared(root).get("requires-python") or importlib.metadata.metadata("cmet")["Requires-Python"]


def probe_python(wanted: str, version: str = platform.python_version()) -> Findings:
    """The interpreter against what cmet asks for."""
    if SpecifierSet(wanted).contains(version):
        yield Finding("python", "ok", f"{version} in {sys.prefix}")
    else:
        yield Finding("python", "problem", f"{version}, but cmet needs {wanted}", "make an environment of that version")


def probe_packages(wanted: Mapping[str, Sequence[Requirement]], have: Mapping[str, str]) -> Findings:
    """Installed versions against the requirements of cmet and its extras."""
    for extra, lines in wanted.items():
        needed = [line for line in lines if line.marker is None or line.marker.evaluate({"extra": extra})]
        wrong = [f"{line.name} {_mismatch(line, have)}" for line in needed if _mismatch(line, have)]
        name, is_needed = f"cmet[{extra}]" if extra else "cmet", extra in EXTRAS_OF_SAMPLE
        probe = PIPELINE if extra == PIPELINE else "packages"
        if not wrong:
            yield Finding(probe, "ok", f"{name}: all {len(needed)} requirements are met")
        else:
            yield Finding(
                probe,
                "problem" if is_needed else "note",
                f"{name}: {'; '.join(wrong)}",
                repair_advice(extra) if is_needed else f"`{install_command(extra)}`",
            )


def _mismatch(line: Requirement, have: Mapping[str, str]) -> str:
    version = have.get(canonicalize_name(line.name))
    if version is None:
        return "is not installed"
    return "" if line.specifier.contains(version, prereleases=True) else f"is {version}, but {line.specifier} is needed"


def probe_clashes(have: Mapping[str, str], asked: Iterable[tuple[str, str]]) -> Findings:
    """Packages that do not go together.

    Args:
        have: Version by canonical name.
        asked: Package and requirement, of everything that is installed.
    """
    clashes = [*_known_clashes(have), *_declared_clashes(have, asked)]
    return clashes or [Finding("clashes", "ok", f"{len(have)} packages fit together")]


def _known_clashes(have: Mapping[str, str]) -> Findings:
    others = [name for name in OTHER_OPENCVS if name in have]
    if others:
        yield Finding(
            "clashes",
            "note",
            f"{' and '.join(others)} and {OPENCV} share the folder cv2; the last one installed wins",
            f"pip uninstall {' '.join(others)}; pip install --force-reinstall --no-deps {OPENCV}",
        )
    antlr = have.get("antlr4-python3-runtime")
    if antlr is not None and "dagster" in have and Version(antlr) < Version("4.13"):
        yield Finding(
            "clashes",
            "note",
            f"antlr4-python3-runtime {antlr}: Dagster's selections (`--select`) need 4.13; the older one comes with "
            "stable releases of hydra and omegaconf",
            repair_advice(PIPELINE),
        )
    torch, torchaudio = (have.get(name, "0") for name in ("torch", "torchaudio"))
    if Version(torch).release[:2] != Version(torchaudio).release[:2]:
        yield Finding(
            "clashes", "problem", f"torch {torch} with torchaudio {torchaudio}", "install the same version of both"
        )


def _declared_clashes(have: Mapping[str, str], asked: Iterable[tuple[str, str]]) -> Findings:
    for package, text in asked:
        line = Requirement(text)
        if line.marker is None or line.marker.evaluate({"extra": ""}):
            mismatch = _mismatch(line, have)
            if mismatch:
                yield Finding("clashes", "note", f"{package} asks for {line.name}, which {mismatch}", repair_advice())


def requirements_of_others() -> Iterator[tuple[str, str]]:
    """Package and requirement, of everything that is installed beside cmet."""
    for found in importlib.metadata.distributions():
        if canonicalize_name(found.name) != "cmet":
            yield from ((canonicalize_name(found.name), text) for text in found.requires or [])
