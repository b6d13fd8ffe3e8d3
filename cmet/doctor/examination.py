"""All probes, each run so that its failure hides no other."""

import locale
import os
import subprocess
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from cmet.doctor import libraries, machine, packages, project
from cmet.doctor.finding import Finding, Findings
from cmet.environment import cgroups, memory, usable_cores
from cmet.weights.extras import is_installed

PROBE_ERRORS = (OSError, ImportError, ValueError, RuntimeError, AttributeError, LookupError, subprocess.SubprocessError)
"""What looking at files, packages and other programs can raise, also where they are damaged."""


OF_PIPELINE = frozenset({"pipeline", "espeak-ng", "tools", "project", "cluster"})
"""Probes of what the pipeline needs and `cmet edit` does not."""


def examine(root: Path) -> list[Finding]:
    """Run every probe; takes a few seconds.

    Args:
        root: Folder of a project; it need not exist.
    """
    root = root.resolve()
    groups = cgroups()
    children = {name: libraries.start_probe(name) for name in libraries.PROBES}
    probes: list[tuple[str, Callable[[], Findings]]] = [
        # while the children compute: a host shows what it takes away only from those who ask for it
        ("load", machine.probe_load),
        ("cores", lambda: machine.probe_cores(usable_cores(groups))),
        ("memory", lambda: machine.probe_memory(*memory(groups))),
        ("disk", lambda: machine.probe_disk(root)),
        ("write rights", lambda: machine.probe_write_rights(root)),
        ("shared memory", lambda: machine.probe_shared_memory(machine.free_bytes(Path("/dev/shm")))),
        ("python", lambda: packages.probe_python(packages.wanted_python(root))),
        ("packages", lambda: packages.probe_packages(packages.requirements(root), packages.installed())),
        ("clashes", lambda: packages.probe_clashes(packages.installed(), packages.requirements_of_others())),
        *((name, partial(libraries.answer_of, name, child)) for name, child in children.items()),
        ("tools", project.probe_tools),
        ("project", lambda: project.probe_project(root)),
        ("clock", lambda: project.probe_clock(root)),
        ("environment", lambda: project.probe_environment(os.environ, locale.getpreferredencoding(False))),
        ("cluster", lambda: project.probe_cluster(os.environ)),
        ("weights", lambda: project.probe_weights(root, os.environ)),
        ("object store", lambda: project.probe_object_store(is_installed("s3"))),
    ]
    try:
        return [finding for name, probe in probes for finding in isolated(name, probe)]
    finally:
        for child in children.values():
            child.kill()
            child.communicate()


def isolated(name: str, probe: Callable[[], Findings]) -> list[Finding]:
    """The findings of a probe; one that fails is a finding too."""
    try:
        return list(probe())
    except PROBE_ERRORS as error:
        return [Finding(name, "problem", f"the probe failed: {type(error).__name__}: {error}")]


def can_edit(findings: Iterable[Finding]) -> bool:
    """Whether nothing stands in the way of `cmet edit`, wherever it is called."""
    return can_run_sample(finding for finding in findings if finding.probe not in OF_PIPELINE)


def can_run_sample(findings: Iterable[Finding]) -> bool:
    """Whether nothing stands in the way of the built-in sample."""
    return all(finding.status != "problem" for finding in findings)
