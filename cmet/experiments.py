"""Ready-made experiments: parameter files that say only in what they differ from another one.

An experiment names the one it differs from; a layer (`experiments/ablations/`) names none and can be laid over any.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from cmet.errors import UserError
from cmet.inputs.files import MISSING, BadFile, not_a_folder, oddity
from cmet.inputs.texts import read_yaml, shown
from cmet.objects.inventory import is_inventory, is_tree, refuse_address
from cmet.outputs import fresh_file
from cmet.params import MAX_MESSAGE, Params, ParamsError, flatten, parse_params

BASE = "base"
"""Key of an experiment file: the file beside it from which it differs."""

MADE, SAMPLE = "made_corpora", "sample"
"""Key of the corpora that DVC makes first, and the one there is."""

OUTPUTS = ("data", "reports")
"""Folders of a project that its stages write."""

EXPERIMENTS = "experiments"
"""Folder of a project with the ready-made experiments."""

PLACES = frozenset({"manifest.root", "manifest.files", "weights", MADE})
"""Parameters that say where a machine has the same things."""

LISTS = frozenset({"backbones", "speech_encoders"})
"""Parameters that say what else is made beside the work for one backbone."""


@dataclass(frozen=True)
class Change:
    """A value that an experiment changes."""

    key: str
    """With dots."""
    before: Any
    """None where there was none; so with the one after it."""
    after: Any

    def __str__(self) -> str:
        """A line for people."""
        return f"{self.key}: {self.before} -> {self.after}"


@dataclass(frozen=True)
class Deviation:
    """In what parameters differ from the ready-made experiment that is most like them."""

    base: str
    """Name of that one, such as `sample`."""
    changes: Sequence[Change]

    def __str__(self) -> str:
        """All changes, `num_steps=300 seed=8`; empty where there is none."""
        return self.said(len(self.changes))

    def said(self, num_changes: int) -> str:
        """The first changes, and how many more there are."""
        parts = [f"{change.key.rpartition('.')[2]}={_said(change.after)}" for change in self.changes[:num_changes]]
        more = len(self.changes) - len(parts)
        return " ".join([*parts, *([f"and {more} more"] if more else [])])


def deviation(params: Params, backbone: str, root: Path) -> Deviation | None:
    """In what a project's parameters differ from the experiment that is most like them; None where it has none.

    Experiments with the same corpus come first, and among them those with the backbone. Where a machine keeps corpus
    and weights does not count.

    Args:
        params: The project's.
        backbone: The one that a run works for.
        root: The project's folder.
    """
    own = _compared(params)
    found: list[tuple[bool, bool, int, str, list[Change]]] = []
    for path in sorted((root / EXPERIMENTS).glob("*.yaml")):
        # another experiment that is half written is no reason to stop this one
        with suppress(ParamsError):
            other = _ready_made(path, path.stat().st_mtime_ns)
            values = _compared(other)
            changes = [Change(key, values[key], own[key]) for key in own if own[key] != values[key]]
            is_elsewhere = other.manifest.corpus != params.manifest.corpus
            found.append((is_elsewhere, backbone not in other.backbones, len(changes), path.stem, changes))
    if not found:
        return None
    *_, base, changes = min(found, key=lambda one: one[:4])
    return Deviation(base, changes)


@cache
def _ready_made(path: Path, changed_ns: int) -> Params:
    """An experiment as it was at a time; an evaluation opens six runs, and reading all takes a fifth of a second."""
    return parse_params(read_experiment(path), str(path))


def _compared(params: Params) -> dict[str, Any]:
    return {key: value for key, value in flatten(params).items() if key not in PLACES | LISTS}


def _said(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def read_experiment(path: Path) -> dict[str, Any]:
    """All values of an experiment, with the ones of its base.

    Raises:
        ParamsError: A file is missing or no YAML mapping.
    """
    return _read_experiment(path, ())


def _read_experiment(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    """As `read_experiment`; `above` are the files that name this one, directly or through others."""
    if path.resolve() in above:
        raise ParamsError(f"{path}: is a `{BASE}` of itself, so it has no values to begin with")
    values = _read_mapping(path)
    base = values.pop(BASE, None)
    if base is None:
        return values
    if not isinstance(base, str):
        raise ParamsError(f"{path}: `{BASE}` is not the name of a file")
    return _merged(_read_experiment(path.parent / base, (*above, path.resolve())), values)


def read_layer(path: Path) -> dict[str, Any]:
    """The changes that a layer makes.

    Raises:
        ParamsError: The file is missing, no YAML mapping, or an experiment of its own.
    """
    changes = _read_mapping(path)
    if BASE in changes:
        raise ParamsError(f"{path}: has a `{BASE}`, so it is an experiment of its own; a layer holds only changes")
    return changes


def lay_over(values: dict[str, Any], path: Path) -> dict[str, Any]:
    """The values of an experiment with the changes of a layer.

    Raises:
        ParamsError: As `read_layer`, or the layer has a key that the experiment does not know.
    """
    changes = read_layer(path)
    unknown = sorted(flat_values(changes).keys() - flat_values(values).keys())
    if unknown:
        raise ParamsError(f"{path}: unknown key(s): {shown(', '.join(unknown), MAX_MESSAGE)}")
    return _merged(values, changes)


def flat_values(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """All values on one level, with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= flat_values(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def use_experiment(
    experiment: Path, params: Path, root: Path | None, layers: Sequence[Path] = (), weights: Path | None = None
) -> list[Change]:
    """Write an experiment to the project's parameter file, after checking it.

    Args:
        experiment: File of `experiments/`.
        params: The project's params.yaml.
        root: Folder or inventory of the raw corpus, or the table, from the current folder; as the experiment has it
            when None.
            `manifest.files` becomes the same folder, or the one that all files named in the table have in common.
        layers: Files of changes (`experiments/ablations/`) that are laid over the experiment, in this order.
        weights: Folder of the published checkpoints, from the current folder; as the experiment has it when None. It
            gets the folders that DVC asks for.

    Returns:
        What changed.

    Raises:
        ParamsError: The experiment or a layer is not valid.
        UserError: `root` or `weights` does not exist, `root` is no table though a file, or DVC cannot watch the folder
            of its files.
    """
    values = read_experiment(experiment)
    for layer in layers:
        values = lay_over(values, layer)
    files = [str(path) for path in (experiment, *layers)]
    made = values.get(MADE)
    parsed = parse_params(values | {MADE: []}, " + ".join(files))
    if root is not None:
        values["manifest"] |= _places(params, root, parsed.manifest.corpus)
    values[MADE] = [SAMPLE] if parsed.manifest.corpus == SAMPLE and root is None else []
    if weights is not None:
        values["weights"] = _weights(params, weights)
    before = _values_before(params)
    header = f"# Written by `cmet use {' '.join(files)}`; cmet/params.py says what each key means.\n"
    is_same_text = BASE not in _read_mapping(experiment)
    text = (
        experiment.read_text(encoding="utf-8")
        if is_same_text and root is None and weights is None and not layers and values[MADE] == made
        else header + yaml.safe_dump(values, sort_keys=False, default_flow_style=None)
    )
    with fresh_file(params) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    after = flat_values(values)
    return [
        Change(key, before.get(key), after.get(key))
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]


def _read_mapping(path: Path) -> dict[str, Any]:
    if oddity(path) == MISSING:
        raise ParamsError(f"{path}: no such experiment")
    try:
        values = read_yaml(path)
    except BadFile as error:
        raise ParamsError(str(error)) from error
    if not isinstance(values, dict):
        raise ParamsError(f"{path}: expected keys and values, found {type(values).__name__}")
    return values


def _values_before(params: Path) -> dict[str, Any]:
    """What the parameter file holds that is about to be replaced; nothing where it cannot be read."""
    with suppress(ParamsError):
        return flat_values(_read_mapping(params))
    return {}


def _places(params: Path, root: Path, corpus: str) -> dict[str, str]:
    """Where the corpus is and what DVC watches of it, as the section `manifest` has them."""
    refuse_address(root)
    odd = None if root.is_dir() else oddity(root)
    if odd is not None:
        raise UserError(f"--root {root}: {'no such folder or file' if odd == MISSING else odd}")
    # pandas comes with it
    from cmet.corpora import table
    from cmet.corpora.watched import files_folder

    if corpus == table.NAME and is_inventory(root):
        raise UserError(
            f"--root {root}: the inventory of an object store, but the corpus {corpus} is a table; name that, with "
            f"rows that say {root.name}/<object>"
        )
    if not is_tree(root) and corpus != table.NAME:
        raise UserError(f"--root {root}: a file, but the corpus {corpus} is a folder")
    # paths in a table count from where the table really lies
    files = files_folder(corpus, root.resolve()).resolve()
    outputs = [params.resolve().parent / name for name in OUTPUTS]
    if any(place.is_relative_to(files) for output in outputs for place in (output, output.resolve())):
        advice = "put the corpus into a folder of its own"
        if not is_tree(root):
            advice = f"put the recordings into one folder beside the table, e.g. {root.parent / 'recordings'}/"
        raise UserError(
            f"--root {root}: its files share no folder but {files}, where the stages write data/ and reports/, "
            f"so DVC cannot watch it; {advice}"
        )
    return {"root": _place_in(params, root), "files": _place_in(params, files)}


def _weights(params: Path, weights: Path) -> str:
    """The folder as params.yaml has it, with a folder for each kind of reader."""
    from cmet.weights.registry import HOMES

    if not weights.is_dir():
        raise UserError(f"--weights {weights}: {not_a_folder(weights)}")
    try:
        for home in HOMES:
            (weights / home).mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(
            f"--weights {weights}: DVC needs the folders {', '.join(HOMES)} in it, and they cannot be made "
            f"({error.strerror})"
        ) from error
    return _place_in(params, weights)


def _place_in(params: Path, place: Path) -> str:
    """The same place as params.yaml says it: from its own folder when it is below that, absolute otherwise."""
    folder, place = params.resolve().parent, place.resolve()
    if folder not in place.parents:
        return place.as_posix()
    written = place.relative_to(folder).as_posix()
    # DVC takes what stands before a colon for a protocol, and `http:x` for an address
    return f"./{written}" if ":" in written else written


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in changes.items():
        is_section = isinstance(value, dict) and isinstance(base.get(key), dict)
        result[key] = _merged(base[key], value) if is_section else value
    return result
