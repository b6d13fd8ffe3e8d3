"""The project's folder, the programs it calls, its settings and weights."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from cmet.doctor.finding import Finding, Findings
from cmet.engine.on_ray import ADDRESS, check_cluster_address
from cmet.errors import UserError
from cmet.objects.cache import CACHE_SIZE_VARIABLE, ObjectCache
from cmet.weights.extras import install_command
from cmet.weights.registry import CHECKPOINTS, FOLDER_VARIABLE, HOMES, Checkpoint, get_command, project_weights


def probe_tools(which: Callable[[str], str | None] | None = None) -> Findings:
    """Programs that the pipeline calls."""
    # dvc lies beside the interpreter, also where the environment is not activated
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    find = which or (lambda name: shutil.which(name, path=path))
    if find("dvc") is None:
        yield Finding("tools", "problem", "dvc is not installed; it runs the pipeline", "pip install 'cmet[pipeline]'")
    if find("git") is None:
        yield Finding("tools", "note", "git is not installed, so runs carry no commit", "install git")
    if find("dvc") and find("git"):
        yield Finding("tools", "ok", "dvc and git are there")


def probe_project(root: Path) -> Findings:
    """Whether dvc takes the folder for a project: it wants a git repository, or to be told to do without."""
    settings = [path for path in (root / ".dvc" / "config", root / ".dvc" / "config.local") if path.is_file()]
    does_without = any(
        re.search(r"no_scm\s*=\s*true", path.read_text(encoding="utf-8"), re.IGNORECASE) for path in settings
    )
    if not (root / "dvc.yaml").is_file():
        yield Finding(
            "project",
            "problem",
            f"{root} has no dvc.yaml",
            "go to the folder of the project, or name it with --project",
        )
    elif not does_without and not any((folder / ".git").exists() for folder in (root, *root.parents)):
        yield Finding(
            "project",
            "problem",
            f"{root} is not a git repository, and dvc refuses to work in it",
            "run `make setup`, or `dvc config --local core.no_scm true`; `dvc exp` needs a clone",
        )
    else:
        yield Finding("project", "ok", f"{root}")


def probe_clock(root: Path, now: float | None = None) -> Findings:
    """Whether the clock is behind files and commits, by which dvc, make and git compare."""
    now = time.time() if now is None else now
    times = {path.name: path.stat().st_mtime for path in root.glob("*") if path.is_file()}
    if root.is_dir() and shutil.which("git"):
        # empty outside of a checkout
        command = ["git", "log", "-1", "--format=%ct"]
        shown = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=10).stdout
        if shown.strip():
            times["the last commit"] = float(shown)
    latest = max(times, key=times.__getitem__, default=None)
    if latest is not None and times[latest] > now + 60:
        ahead = (times[latest] - now) / 3600
        yield Finding(
            "clock", "note", f"{latest} is {ahead:.1f} h in the future", "set the clock; make and dvc compare times"
        )
    else:
        yield Finding("clock", "ok", f"{time.strftime('%Y-%m-%d %H:%M', time.gmtime(now))} UTC, nothing here is newer")


def probe_environment(variables: Mapping[str, str], encoding: str) -> Findings:
    """Settings that slow the pipeline or break names of files."""
    num_found = 0
    if variables.get("PYTHONDONTWRITEBYTECODE"):
        num_found += 1
        yield Finding(
            "environment",
            "note",
            "PYTHONDONTWRITEBYTECODE is set, so every process of the pipeline compiles torch and pandas anew",
            "unset PYTHONDONTWRITEBYTECODE",
        )
    if encoding.lower().replace("-", "") != "utf8":
        num_found += 1
        yield Finding(
            "environment", "note", f"text is {encoding}, not UTF-8: names with accents break", "export LANG=C.UTF-8"
        )
    if not num_found:
        yield Finding("environment", "ok", "UTF-8, compiled Python is kept")


def probe_object_store(has_client: bool) -> Findings:
    """Whether corpora and weights in S3 can be read, and where this machine keeps objects."""
    try:
        cache = ObjectCache.of_machine()
    except UserError as error:
        yield Finding("object store", "problem", str(error), f"set {CACHE_SIZE_VARIABLE} to a number, or unset it")
        return
    if has_client:
        kept = f"{cache.folder} keeps up to {cache.max_bytes / 1e9:.3g} GB of objects on this machine"
        yield Finding("object store", "ok", f"s3fs is there; {kept}")
    else:
        yield Finding(
            "object store",
            "note",
            "s3fs is not installed, so corpora and weights in S3 cannot be read; the demo needs none",
            install_command("s3"),
        )


def probe_cluster(variables: Mapping[str, str]) -> Findings:
    """Whether the cluster is there that stages are to use."""
    address = variables.get(ADDRESS)
    if not address:
        yield Finding("cluster", "ok", f"none: {ADDRESS} is not set, and stages use this machine alone")
    elif importlib.util.find_spec("ray") is None:
        yield Finding("cluster", "note", f"{ADDRESS} is {address}, but Ray is not installed", install_command("ray"))
    else:
        try:
            check_cluster_address(address)
        except UserError as error:
            yield Finding("cluster", "note", str(error), f"start it, or unset {ADDRESS}")
        else:
            yield Finding("cluster", "ok", f"{ADDRESS} is {address}; its nodes are asked when a stage begins")


def probe_weights(root: Path, variables: Mapping[str, str]) -> Findings:
    """What the pretrained weights that are missing would enable, and whether all programs read the same."""
    folder = project_weights(root)
    named = variables.get(FOLDER_VARIABLE)
    if named and os.path.realpath(named) != os.path.realpath(folder):
        yield Finding(
            "weights",
            "note",
            f"{FOLDER_VARIABLE} names {named}, which commands like `cmet edit` read, but stages read {folder}",
            f"set weights: {named} in params.yaml, or unset {FOLDER_VARIABLE}",
        )
    missing_homes = [home for home in HOMES if not (folder / home).is_dir()] if (root / "dvc.yaml").is_file() else []
    if missing_homes:
        yield Finding(
            "weights",
            "problem",
            f"{folder} has no folder {', '.join(missing_homes)}, which dvc asks for",
            f"mkdir -p {' '.join(str(folder / home) for home in missing_homes)}",
        )
    groups: dict[str, list[Checkpoint]] = {}
    num_here = 0
    for checkpoint in CHECKPOINTS.values():
        if checkpoint.enables is not None:
            missing = groups.setdefault(checkpoint.enables, [])
            if checkpoint.located(folder) is None:
                missing.append(checkpoint)
            else:
                num_here += 1
    if not num_here:
        yield Finding(
            "weights",
            "note",
            f"no published weights are in {folder}/; the demo needs none",
            f"`cmet weights` lists them; to edit as in the paper run `{get_command('--for edit', folder)}`",
        )
        return
    for ability, missing in groups.items():
        if missing:
            found = f"{ability} still needs {', '.join(one.file for one in missing)}"
            hint = f"run `{get_command(' '.join(one.name for one in missing), folder)}`"
            yield Finding("weights", "note", found, hint)
        else:
            yield Finding("weights", "ok", f"{ability}: all files are in {folder}/")
