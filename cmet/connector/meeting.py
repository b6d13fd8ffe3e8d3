"""What processes on several machines make sure of before they train together: the same code, libraries and folder."""

import os
import platform
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cmet.connector.processes import Processes, connected, own_device, training_processes
from cmet.environment import versions
from cmet.errors import UserError
from cmet.launching import FIRST, USER_ERROR, LostProcess, num_nodes

SEEN_WITHIN_S = 10.0
"""How long a new file may take to be seen by other machines."""
POLL_S = 0.2
MAX_NAMED = 3
"""Differences that a message names."""


@dataclass(frozen=True)
class ProcessFacts:
    """What a process says of itself."""

    node: str
    """Name of its machine."""
    values: Mapping[str, str] = field(default_factory=dict)
    """What must be the same everywhere, by the words for it in messages."""
    problem: str | None = None
    """Why it cannot work."""


@contextmanager
def meeting(root: Path, work: Path, values: Callable[[], Mapping[str, str]]) -> Iterator[None]:
    """Connect with all processes that torchrun has started, for the length of the block, once they are alike.

    Args:
        root: The project as this machine sees it.
        work: A folder in it, in which the first process makes a file for the others to see.
        values: Says what must be the same everywhere, besides the versions of libraries and the kind of device.

    Raises:
        UserError: A process cannot work, or is not like the first one, which all of them raise; what `connected`
            says; or what is raised in the block. It names the machine where there are several.
    """
    with connected():
        with training_processes() as processes:
            said = disagreement(processes.of_all(_own(values)))
            if said is None and num_nodes() > 1:
                said = _unshared(root, work, processes)
        if said is not None:
            if int(os.environ["LOCAL_RANK"]) != FIRST:
                # the first one of the machine says it
                sys.exit(USER_ERROR)
            raise UserError(said)
        try:
            yield
        except UserError as error:
            if num_nodes() == 1:
                raise
            kind = LostProcess if isinstance(error, LostProcess) else UserError
            raise kind(f"node {platform.node()}: {error}") from error


def disagreement(all_facts: Sequence[ProcessFacts]) -> str | None:
    """Why processes cannot train together, in a sentence; None where they can.

    Args:
        all_facts: Of all processes; the first one is taken for right.
    """
    first, is_alone = all_facts[0], len({facts.node for facts in all_facts}) == 1
    for facts in all_facts:
        if facts.problem is not None:
            return facts.problem if is_alone else f"node {facts.node}: {facts.problem}"
    for facts in all_facts:
        names = [name for name in {**first.values, **facts.values} if first.values.get(name) != facts.values.get(name)]
        if names:
            told = ", ".join(
                f"{name} {facts.values.get(name, 'missing')} instead of {first.values.get(name, 'none')}"
                for name in names[:MAX_NAMED]
            )
            more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
            return (
                f"node {facts.node} is not like {first.node}: {told}{more}; use the same checkout and lock on all nodes"
            )
    return None


def _own(values: Callable[[], Mapping[str, str]]) -> ProcessFacts:
    node = platform.node()
    try:
        common = {"Python": platform.python_version(), **versions(), "device": own_device().type}
        # these come last: they differ where one of the others does
        return ProcessFacts(node, {**common, **values()})
    except UserError as error:
        return ProcessFacts(node, problem=str(error))


def _unshared(root: Path, work: Path, processes: Processes) -> str | None:
    """A sentence that names the first machine which does not see what the first process writes, and its folder."""
    mark = work / processes.from_first(lambda: _marked(work))
    seen = processes.of_all((platform.node(), str(root.absolute()), _is_seen(mark)))
    if processes.is_first:
        mark.unlink()
    for node, folder, is_there in seen:
        if not is_there:
            return (
                f"node {node}: its {folder} is another folder than {seen[0][1]} of {seen[0][0]}; put the project on a "
                "disk that all nodes share"
            )
    return None


def _marked(folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    # a name that nobody has looked for: what is not there is remembered on shared disks
    name = f"met-{secrets.token_hex(8)}"
    (folder / name).touch()
    return name


def _is_seen(path: Path) -> bool:
    end_s = time.monotonic() + SEEN_WITHIN_S
    while not (is_there := path.exists()) and time.monotonic() < end_s:
        time.sleep(POLL_S)
    return is_there
