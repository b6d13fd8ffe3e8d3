"""A project at one moment, kept among git's objects: what an experiment runs on, whatever becomes of the workspace.

Files and index of the workspace are only read.
"""

import hashlib
import io
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from cmet.errors import UserError
from cmet.inputs.texts import parse_yaml
from cmet.params import flatten, load_params, parse_params

PARAMS = "params.yaml"
SNAPSHOT_PATHS = ("cmet", "dvc.yaml", "dvc.lock", "versions.yaml", ".dvc/config", ".dvcignore")
"""What the line runs on, taken although git may not know it yet."""

MAX_MADE_NAME = 70

NO_CHANGE = "unchanged"
"""Name of an experiment that changes no parameter."""

EXPERIMENT_NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._=,+-]{0,79}(?<!\.)(?<!\.lock)")
"""What an experiment may be called: git has it in the name of a reference."""


@dataclass(frozen=True)
class Snapshot:
    """The files of a project, with parameters of an experiment."""

    name: str
    """Of the experiment."""
    baseline: str
    """The commit that DVC shows it under."""
    tree: str
    """The files, as an object of git."""
    changes: Mapping[str, Any]
    """Parameters that the workspace has otherwise, by key with dots."""


def take_snapshot(root: Path, overrides: Mapping[str, Any], name: str | None = None) -> Snapshot:
    """Keep the files that git knows as they are now, all code of `cmet`, and the changed parameters.

    Args:
        root: The project.
        overrides: Values in the shape of params.yaml; what is left out stays as it is there.
        name: Of the experiment; made of the changes by default.

    Raises:
        ParamsError: A value is not allowed; the message names its key.
        UserError: The project is not under git, the name cannot be used, or another experiment has it.
    """
    before = flatten(load_params(root / PARAMS))
    text = _changed_text(root / PARAMS, overrides)
    after = _values(text)
    changes = {key: value for key, value in after.items() if before.get(key) != value}
    name = name or _name(changes)
    if not EXPERIMENT_NAME.fullmatch(name):
        raise UserError(
            f"experiment {name!r}: git cannot keep that name; take up to 80 letters, digits and any of ._=,+- that "
            "begin with a letter or digit"
        )
    baseline = _baseline(root)
    _refuse_another(root, baseline, name, after)
    return Snapshot(name, baseline, _tree(root, text), changes)


def clone_snapshot(root: Path, snapshot: Snapshot, folder: Path) -> Path:
    """Put the files of a snapshot into a new repository, as changes of its baseline that are not committed.

    The repository reads the objects of the project's, so it is made in a moment.

    Args:
        root: The project.
        snapshot: What it was made of.
        folder: Where the repository is to lie.

    Returns:
        The project in it: the repository itself, or a folder of it where the project is one of a repository.
    """
    objects = git(root, "rev-parse", "--path-format=absolute", "--git-path", "objects")
    git(root, "init", "--quiet", "--template=", str(folder))
    (folder / ".git/objects/info").mkdir(exist_ok=True)
    (folder / ".git/objects/info/alternates").write_text(f"{objects}\n", encoding="utf-8")
    git(folder, "update-ref", "--no-deref", "HEAD", snapshot.baseline)
    git(folder, "read-tree", "-u", "--reset", snapshot.tree)
    return folder / git(root, "rev-parse", "--show-prefix")


def fetch_experiment(root: Path, clone: Path, snapshot: Snapshot) -> None:
    """Let the project know an experiment that `dvc exp save` has made in a clone."""
    reference = _reference(snapshot.baseline, snapshot.name)
    git(root, "fetch", "--quiet", "--no-tags", str(clone), f"+{reference}:{reference}")


def git(root: Path, *arguments: str, text: str | None = None, **environment: str) -> str:
    """What git answers.

    Args:
        root: Folder in which it runs.
        arguments: Its command line.
        text: What it reads.
        environment: Variables beside those of this process.

    Raises:
        UserError: It is not installed, or fails; the message is its own.
    """
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=root,
            env={**os.environ, **environment},
            input=text,
            capture_output=True,
            text=True,
            check=True,
        )
    except FileNotFoundError as error:
        raise UserError("git is not installed, and experiments need it; install it") from error
    except subprocess.CalledProcessError as error:
        raise UserError(f"git {arguments[0]}: {error.stderr.strip() or 'failed'}") from error
    return done.stdout.strip()


def _changed_text(params: Path, overrides: Mapping[str, Any]) -> str:
    """The parameter file with other values; its comments stay."""
    yaml = YAML()
    yaml.preserve_quotes = True
    values = yaml.load(params.read_text(encoding="utf-8"))
    _lay_in(values, overrides)
    stream = io.StringIO()
    yaml.dump(values, stream)
    return stream.getvalue()


def _lay_in(values: Any, overrides: Mapping[str, Any]) -> None:
    for key, value in overrides.items():
        if isinstance(value, Mapping) and isinstance(values.get(key), Mapping):
            _lay_in(values[key], value)
        else:
            values[key] = value


def _values(text: str) -> dict[str, Any]:
    """All parameters with dots, checked."""
    return flatten(parse_params(parse_yaml(text, PARAMS), "experiment"))


def _name(changes: Mapping[str, Any]) -> str:
    """`train.num_steps=300,held_out_emotion=happy`; the same for the same changes."""
    said = ",".join(f"{key}={'none' if value is None else value}" for key, value in changes.items()) or NO_CHANGE
    name = re.sub(r"[^A-Za-z0-9._=,+-]+|\.\.+", "-", said).strip(".-")
    if len(name) > MAX_MADE_NAME:
        name = f"{name[:MAX_MADE_NAME]}-{hashlib.sha256(said.encode()).hexdigest()[:6]}"
    return name


def _baseline(root: Path) -> str:
    """The commit of the workspace.

    Raises:
        UserError: There is none: git is not installed, or knows nothing of the project.
    """
    try:
        if git(root, "ls-files", "--", "dvc.yaml"):
            return git(root, "rev-parse", "--verify", "HEAD")
    except UserError:
        pass
    raise UserError(
        f"{root}: experiments need git, which keeps the code and the numbers of each; clone the repository instead of "
        "downloading it, or run `git init`, `git add .`, `git commit -m begin` and "
        "`dvc config --local --unset core.no_scm` there"
    )


def _refuse_another(root: Path, baseline: str, name: str, values: Mapping[str, Any]) -> None:
    """Refuse the name of an experiment that has other parameters.

    Raises:
        UserError: There is one.
    """
    reference = _reference(baseline, name)
    if not git(root, "for-each-ref", reference):
        return
    prefix = git(root, "rev-parse", "--show-prefix")
    there = _values(git(root, "show", f"{reference}:{prefix}{PARAMS}"))
    others = [f"{key} {there.get(key)}" for key, value in values.items() if there.get(key) != value]
    if others:
        raise UserError(
            f"experiment {name}: there is one of that name, with {', '.join(others)}; take another name, or run "
            f"`dvc exp remove {name}`"
        )


def _tree(root: Path, params: str) -> str:
    """The files as an object of git; an index of its own leaves that of the workspace as it is."""
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "index"
        shutil.copy(git(root, "rev-parse", "--path-format=absolute", "--git-path", "index"), index)
        own = {"GIT_INDEX_FILE": str(index)}
        git(root, "add", "--update", "--", ":/", **own)
        git(root, "add", "--", *(name for name in SNAPSHOT_PATHS if (root / name).exists()), **own)
        blob = git(root, "hash-object", "-w", "--stdin", text=params)
        prefix = git(root, "rev-parse", "--show-prefix")
        git(root, "update-index", "--add", "--cacheinfo", f"100644,{blob},{prefix}{PARAMS}", **own)
        return git(root, "write-tree", **own)


def _reference(baseline: str, name: str) -> str:
    """Where DVC keeps an experiment."""
    return f"refs/exps/{baseline[:2]}/{baseline[2:]}/{name}"
