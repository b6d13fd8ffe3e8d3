"""What DVC says of a project: its stages, and which of them are not what their inputs would give now.

No other module uses DVC as a library: little of it is a public interface. Nothing here takes DVC's locks. A terminal
that waits for one gives up after three seconds, and whoever only looks must not make its work fail.
"""

import hashlib
import json
import os
import re
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cmet.errors import UserError
from cmet.inputs.texts import read_yaml

if TYPE_CHECKING:
    from dvc.output import Output
    from dvc.repo import Repo
    from dvc.stage import PipelineStage

PARAMS = "params.yaml"
MAX_LOOKS = 5
SETTLED_NS = 1_000_000_000
"""DVC writes dvc.lock in place: what is younger than this may be half of it, and a look at it is taken again."""
CODE = "cmet"
"""Folder of the code that stages run."""


class Declared(NamedTuple):
    """A stage as DVC resolved it; paths are relative to the project."""

    name: str
    description: str
    command: str
    deps: tuple[str, ...]
    outs: tuple[str, ...]
    params: dict[str, tuple[str, ...]]
    """Keys by file."""


@dataclass(frozen=True)
class StageState:
    """A stage beside its entry in dvc.lock."""

    declared: Declared
    upstream: tuple[str, ...]
    """Names of the stages that write what this one reads."""
    version: str | None
    """One hash over everything the stage wrote; None where it has never run."""
    recipe: str
    """One hash over its whole entry: command, code, parameters, inputs and outputs."""
    code: str
    """One hash over the command, code and library versions it was made with."""
    used: Mapping[str, str]
    """Hash by source, of what was read of it."""
    changes: Mapping[str, str]
    """What DVC calls changed since, in words, by path or `file:key`; empty where nothing is, or nobody has looked."""
    has_outputs: bool
    """What it wrote is still there, as it was."""

    @property
    def name(self) -> str:
        """As DVC calls the stage."""
        return self.declared.name

    @property
    def reason(self) -> str:
        """The first change and how many more there are."""
        first, *more = self.changes.values()
        return f"{first}, and {len(more)} more change{'s' if len(more) > 1 else ''}" if more else first

    def has_changed(self, source: str) -> bool:
        """Whether something that was read of a source, or of the outputs of a stage, is among the changes."""
        return any(_source_of_change(change) == source for change in self.changes)


class Holder(NamedTuple):
    """A process of DVC that runs a stage."""

    pid: int
    command: str

    @property
    def is_alive(self) -> bool:
        """Whether there still is such a process; DVC leaves entries of killed ones."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


@dataclass(frozen=True)
class DvcStatus:
    """What DVC said at one moment."""

    states: Mapping[str, StageState]
    """By name, inputs first."""
    sources: Mapping[str, str]
    """Hash of what the stages read and no stage writes, by source; only of those that were looked at."""
    values: Mapping[str, Any]
    """What params.yaml holds."""

    def sources_of(self, state: StageState) -> tuple[str, ...]:
        """What a stage reads and no stage writes."""
        return sources_of(state.declared, [one.declared for one in self.states.values()])

    def above(self, name: str) -> list[StageState]:
        """The stages on whose outputs one depends, inputs first."""
        wanted = _with_above([name], {state.name: state.upstream for state in self.states.values()})
        return [state for state in self.states.values() if state.name in wanted - {name}]

    def changed_above(self, name: str) -> list[StageState]:
        """Those of them that are out of date, inputs first."""
        return [state for state in self.above(name) if state.changes]

    def out_of_date(self, name: str) -> list[StageState]:
        """The same, and the stage itself."""
        own = self.states[name]
        return [*self.changed_above(name), *([own] if own.changes else [])]


def read_stages(root: Path) -> list[Declared]:
    """The stages of dvc.yaml in their order there, `matrix` stages resolved.

    Raises:
        UserError: DVC cannot read the project.
    """
    with _opened(root) as repo:
        return [_declared(stage) for stage in _stages(repo)]


def cache_folder(root: Path) -> str:
    """Where DVC keeps what it has of outputs.

    Raises:
        UserError: DVC cannot read the project.
    """
    with _opened(root) as repo:
        return str(repo.cache.local_cache_dir)


def look(root: Path, names: Collection[str] | None = None, *, above: bool = False) -> DvcStatus:
    """Compare stages with what they would be made of now, as `dvc status` does.

    Args:
        root: The project.
        names: Stages to compare, all by default. The others are there with what dvc.lock has.
        above: Compare those that stand above the named ones, instead.

    Raises:
        UserError: DVC cannot read the project.
    """
    for _ in range(MAX_LOOKS - 1):
        before = _lock_written_ns(root)
        with suppress(UserError):
            found = _look(root, names, above)
            if _lock_written_ns(root) == before:
                return found
        if time.time_ns() - _lock_written_ns(root) > SETTLED_NS:
            break
        time.sleep(SETTLED_NS / 1e9 / 2)
    return _look(root, names, above)


def _look(root: Path, names: Collection[str] | None, above: bool) -> DvcStatus:
    with _opened(root) as repo:
        stages = {stage.name: stage for stage in _stages(repo)}
        declared = {name: _declared(stage) for name, stage in stages.items()}
        upstream = {name: upstream_of(stage, declared.values()) for name, stage in declared.items()}
        compared = set(stages if names is None else names)
        if above:
            compared = _with_above(compared, upstream) - compared
        hashes = _Hashes()
        states = {
            name: _state(stages[name], declared[name], upstream[name], hashes if name in compared else None)
            for name in TopologicalSorter(upstream).static_order()
        }
        values = _param_values(root)
        sources = {}
        for name in compared:
            files = {dep.def_path: dep for dep in _parted(stages[name])[0]}
            for source in sources_of(declared[name], declared.values()):
                section = source.removeprefix(f"{PARAMS}:")
                sources[source] = _digest(hashes.of(files[source]) if source in files else values.get(section))
        return DvcStatus(states, sources, values)


def _lock_written_ns(root: Path) -> int:
    path = root / "dvc.lock"
    return path.stat().st_mtime_ns if path.exists() else 0


def sources_of(stage: Declared, stages: Collection[Declared]) -> tuple[str, ...]:
    """What a stage reads and no stage writes, code left out: paths, and sections of parameters as `file:section`."""
    sections = dict.fromkeys(f"{PARAMS}:{key.split('.')[0]}" for key in stage.params.get(PARAMS, ()))
    outs = [out for one in stages for out in one.outs]
    files = [dep for dep in stage.deps if not is_code(dep) and not any(overlap(dep, out) for out in outs)]
    return (*sections, *dict.fromkeys(files))


def upstream_of(stage: Declared, stages: Collection[Declared]) -> tuple[str, ...]:
    """Stages whose outputs lie in, over or at what a stage reads; sorted."""
    return tuple(sorted(one.name for one in stages if any(overlap(dep, out) for dep in stage.deps for out in one.outs)))


def is_code(path: str) -> bool:
    """Whether a path of the project is code."""
    return Path(path).parts[:1] == (CODE,)


def overlap(one: str, other: str) -> bool:
    """Whether a path lies in, over or at another one."""
    mine, theirs = _parts(one), _parts(other)
    num_shared = min(len(mine), len(theirs))
    return mine[:num_shared] == theirs[:num_shared]


@lru_cache(maxsize=4096)
def _parts(path: str) -> tuple[str, ...]:
    """Every path of a project is compared with every other one."""
    return Path(path).parts


def process_at_work(root: Path, reads: Collection[str], writes: Collection[str]) -> Holder | None:
    """A living process that DVC has let write what would be read here, or use what would be written here.

    Args:
        root: The project.
        reads: Paths of the project.
        writes: Paths of the project.
    """
    try:
        locks = json.loads((root / ".dvc" / "tmp" / "rwlock").read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        # nobody has run anything yet, or it is being written; DVC itself looks again before it starts
        return None
    taken = [(path, info) for path, info in locks.get("write", {}).items() if info]
    used = [(path, info) for path, infos in locks.get("read", {}).items() for info in infos]
    for mine, theirs in (((*reads, *writes), taken), (writes, used)):
        for path, info in theirs:
            # DVC writes down the path of its program
            one = Holder(int(info["pid"]), re.sub(r"^\S*dvc(/__main__\.py)?(?=\s)", "dvc", info["cmd"]))
            if one.is_alive and any(overlap(str(root.resolve() / own), path) for own in mine):
                return one
    return None


class _Hashes:
    """Hashes of what lies in the workspace now, each made once."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}

    def of(self, entry: "Output") -> Any:
        """None where there is nothing."""
        if entry.fs_path not in self._known:
            # what a running stage removes may be gone in the middle of it
            with suppress(FileNotFoundError):
                self._known[entry.fs_path] = entry.get_hash() if entry.exists else None
        return self._known.setdefault(entry.fs_path, None)


@contextmanager
def _opened(root: Path) -> Iterator["Repo"]:
    """The repository of DVC; its errors are the user's to mend."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(root)) as repo:
            yield repo
    except DvcException as error:
        raise UserError(f"DVC cannot read the project: {' '.join(str(error).split())}") from error


def _stages(repo: "Repo") -> Iterator["PipelineStage"]:
    return (stage for stage in repo.index.stages if stage.path_in_repo == "dvc.yaml")


def _declared(stage: "PipelineStage") -> Declared:
    deps, params = _parted(stage)
    return Declared(
        name=stage.name,
        description=stage.desc or "",
        command=str(stage.cmd),
        deps=tuple(dep.def_path for dep in deps),
        outs=tuple(out.def_path for out in stage.outs),
        params={dep.def_path: tuple(dep.params) for dep in params},
    )


def _parted(stage: "PipelineStage") -> tuple[list[Any], list[Any]]:
    """Files that a stage reads, and its parameters."""
    from dvc.dependency import ParamsDependency

    params = [dep for dep in stage.deps if isinstance(dep, ParamsDependency)]
    return [dep for dep in stage.deps if not isinstance(dep, ParamsDependency)], params


def _with_above(names: Collection[str], upstream: Mapping[str, Collection[str]]) -> set[str]:
    wanted: set[str] = set()
    waiting = list(names)
    while waiting:
        if (one := waiting.pop()) not in wanted:
            wanted.add(one)
            waiting.extend(upstream[one])
    return wanted


def _state(stage: "PipelineStage", declared: Declared, upstream: tuple[str, ...], hashes: _Hashes | None) -> StageState:
    deps, params = _parted(stage)
    read = {dep.def_path: dep.hash_info.value for dep in deps}
    values = {f"{dep.def_path}:{key}": value for dep in params for key, value in (dep.hash_info.value or {}).items()}
    outs = {out.def_path: out.hash_info.value for out in stage.outs}
    has_run = any(outs.values())
    used: dict[str, Any] = {}
    for what, value in {**read, **values}.items():
        used.setdefault(_source_of_change(what), {})[what] = value
    code = {what: value for what, value in {**read, **values}.items() if is_code(what) or ":" in what}
    code = {what: value for what, value in code.items() if not what.startswith(f"{PARAMS}:")}
    changes, has_outputs = ({}, has_run) if hashes is None else _changes(stage, has_run, hashes)
    return StageState(
        declared=declared,
        upstream=upstream,
        version=_digest(outs) if has_run else None,
        recipe=_digest([declared.command, read, values, outs]),
        code=_digest([declared.command, code]),
        used={source: _digest(value) for source, value in used.items()},
        changes=changes,
        has_outputs=has_outputs,
    )


def _source_of_change(what: str) -> str:
    """`params.yaml:clips.fps` is of the source `params.yaml:clips`; a path is its own."""
    file, colon, key = what.partition(":")
    return f"{file}:{key.split('.')[0]}" if colon and file == PARAMS else what


def _changes(stage: "PipelineStage", has_run: bool, hashes: _Hashes) -> tuple[dict[str, str], bool]:
    """What `dvc status` names, in words, and whether the outputs are there as dvc.lock has them."""
    deps, params = _parted(stage)
    outputs: dict[str, str] = {}
    for out in stage.outs:
        if out.hash_info and out.use_cache and out.changed_cache():
            outputs[out.def_path] = f"its output {out.def_path} is not in DVC's cache"
        elif words := _difference(out, hashes):
            outputs[out.def_path] = f"its output {words}"
    missing = {dep.def_path: f"{dep.def_path} is not there" for dep in deps if hashes.of(dep) is None}
    if not has_run:
        return {"": "it has never run", **missing}, False
    changes: dict[str, str] = {}
    for dep in params:
        changes.update(_param_changes(dep))
    if stage.changed_stage():
        changes[""] = "its command is another one"
    for dep in deps:
        if words := _difference(dep, hashes):
            changes[dep.def_path] = words
    return {**changes, **outputs}, not outputs


def _difference(entry: "Output", hashes: _Hashes) -> str | None:
    now = hashes.of(entry)
    if now is None:
        return f"{entry.def_path} is not there"
    if not entry.hash_info:
        return f"{entry.def_path} is new"
    return f"{entry.def_path} has changed" if entry.hash_info != now else None


def _param_changes(dep: Any) -> dict[str, str]:
    then, now = _leaves(dep.hash_info.value or {}), _leaves(dep.read_params())
    changes: dict[str, str] = {}
    for key in dict.fromkeys([*now, *then]):
        if key not in now:
            changes[f"{dep.def_path}:{key}"] = f"{key} is gone, was {then[key]}"
        elif key not in then:
            changes[f"{dep.def_path}:{key}"] = f"{key} is new"
        elif now[key] != then[key]:
            changes[f"{dep.def_path}:{key}"] = f"{key} is {now[key]}, was {then[key]}"
    return changes


def _leaves(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            leaves |= _leaves(value, f"{above}{key}.")
        else:
            leaves[f"{above}{key}"] = list(value) if isinstance(value, tuple) else value
    return leaves


def _param_values(root: Path) -> Mapping[str, Any]:
    path = root / PARAMS
    values = read_yaml(path) if path.exists() else {}
    return values if isinstance(values, Mapping) else {}


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
