"""Experiments beside the workspace: a copy of the project, in which DVC runs the line with other parameters.

`dvc exp run --temp` would reset the files of the workspace for a moment to make its copy, run the code of the
workspace, since that is what is installed, and delete unfinished work with the copy when it is stopped. So the copy is
made here (`snapshots`), with the cache of DVC shared, its own code first, and unfinished work outside of it;
`dvc exp save` makes an experiment of the result.
"""

import logging
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from assets.dvc_project import DvcProject, run_logged
from assets.previews import Metadata, preview
from assets.snapshots import PARAMS, Snapshot, clone_snapshot, fetch_experiment, git
from cmet.experiments import OUTPUTS
from cmet.params import load_params
from cmet.places import COMPILED, COPIES, EXPERIMENTS, WORK, holder, only_run
from cmet.project import Project
from cmet.recorded import recorded_outputs
from cmet.tracking.outbox import UNSENT
from cmet.tracking.store import default_store
from cmet.vocabulary import in_order

DVC = [sys.executable, "-m", "dvc"]
SETTINGS = """\
[core]
    analytics = false
    site_cache_dir = "{site}"
[cache]
    # files appear in the copy without being copied
    type = "reflink,hardlink,copy"
    dir = "{cache}"
"""


@contextmanager
def experiment_copy(root: Path, snapshot: Snapshot) -> Iterator[Path]:
    """A copy of the project for one experiment, which is gone after the block; so are those that a kill has left.

    Unfinished work of its stages lies in `.work/experiments/<name>` of the project and outlives the copy.

    Raises:
        UserError: The experiment runs already.
    """
    copies = root / WORK / COPIES
    with only_run(_lock(root, snapshot.name), f"experiment {snapshot.name}"):
        copies.mkdir(parents=True, exist_ok=True)
        for left in copies.iterdir():
            if left.name == snapshot.name or holder(_lock(root, left.name)) is None:
                # another experiment that begins now clears up, too
                with suppress(FileNotFoundError):
                    shutil.rmtree(left)
        clone = copies / snapshot.name
        try:
            copy = clone_snapshot(root, snapshot, clone)
            _share_cache(root, copy)
            _link_inputs(root, copy)
            _link_work(root, copy, snapshot.name)
            yield copy
        finally:
            shutil.rmtree(clone, ignore_errors=True)


def run_experiment(
    root: Path, copy: Path, snapshot: Snapshot, log: logging.Logger, environment: Mapping[str, str]
) -> None:
    """Run the whole line in the copy, and let the project know the result as an experiment of DVC.

    Args:
        root: The project.
        copy: Of `experiment_copy`.
        snapshot: What the copy was made of.
        log: Gets what DVC and the stages print.
        environment: Variables for the stages, beside those of this process.

    Raises:
        dagster.Failure: A stage failed; the message holds the end of what it printed.
    """
    environment = {**_environment(root, copy, snapshot), **environment}
    what = f"Experiment {snapshot.name}"
    run_logged([*DVC, "repro"], copy, log, environment, what)
    save = [*DVC, "exp", "save", "--force", "--name", snapshot.name]
    for name in _kept_by_git(copy):
        save += ["--include-untracked", name]
    run_logged(save, copy, log, environment, what)
    fetch_experiment(root, copy, snapshot)
    shutil.rmtree(_work(root, snapshot.name))


def experiment_metadata(root: Path, copy: Path, snapshot: Snapshot) -> Metadata:
    """What came out of an experiment: accuracies with intervals, figures and the run of MLflow, for each backbone."""
    shown: Metadata = {}
    with _environ(_environment(root, copy, snapshot)):
        for stage in DvcProject(root=str(copy)).stages():
            if stage.kind == "evaluate" and stage.variant:
                shown |= _accuracies(copy, stage.variant)
                seen = preview(stage, copy).items()
                shown |= {f"{stage.variant}/{name}": value for name, value in seen if not name.startswith("acc_emo/")}
    return shown


def _accuracies(copy: Path, backbone: str) -> Metadata:
    """In words, which are read without a click."""
    scores = Project.at(copy / PARAMS).scores(backbone).metrics
    return {
        f"{backbone}/acc_emo/{method}": f"{100 * found.acc_emo:.1f} % "
        f"({100 * found.interval[0]:.1f} to {100 * found.interval[1]:.1f}), {found.n} clips"
        for method, found in in_order(scores.methods).items()
    }


@contextmanager
def _environ(values: Mapping[str, str]) -> Iterator[None]:
    """A block in which this process is one of the experiment's."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _environment(root: Path, copy: Path, snapshot: Snapshot) -> dict[str, str]:
    """Variables for the stages."""
    return {
        # before the code that is installed, which is that of the workspace
        "PYTHONPATH": os.pathsep.join(filter(None, [str(copy), os.environ.get("PYTHONPATH")])),
        # as `dvc exp run` has them
        "DVC_EXP_NAME": snapshot.name,
        "DVC_EXP_BASELINE_REV": snapshot.baseline,
        "MLFLOW_TRACKING_URI": default_store(root),
        "TORCHINDUCTOR_CACHE_DIR": os.environ.get("TORCHINDUCTOR_CACHE_DIR", str(root / WORK / COMPILED)),
    }


def _kept_by_git(copy: Path) -> list[str]:
    """Outputs that git does not know yet and does not ignore either, as it does those that are in DVC's cache."""
    outs = [out.path for outputs in recorded_outputs(copy).values() for out in outputs]
    found = git(copy, "ls-files", "-z", "--others", "--exclude-standard", "--", *outs)
    return [name for name in found.split("\0") if name]


def _lock(root: Path, name: str) -> Path:
    return root / WORK / f"experiment-{name}.lock"


def _work(root: Path, name: str) -> Path:
    return root / WORK / EXPERIMENTS / name


def _share_cache(root: Path, copy: Path) -> None:
    """Give the copy settings of its own: those of the workspace that git does not have are about the workspace."""
    settings = SETTINGS.format(site=copy / ".dvc/tmp/site", cache=DvcProject(root=str(root)).cache)
    (copy / ".dvc/config.local").write_text(settings, encoding="utf-8")


def _link_inputs(root: Path, copy: Path) -> None:
    """Let the copy find what lies in the project and is not git's: corpus, weights, scores of other methods."""
    params = load_params(copy / PARAMS)
    named = [Path(name) for name in (params.manifest.root, params.manifest.files, params.weights, "scores")]
    # an absolute path is found as it is, and what stages make comes out of the cache
    inputs = [path for path in named if not path.is_absolute() and path.parts[0] not in OUTPUTS]
    for path in inputs:
        _link_missing(root / path, copy / path)
    # DVC warns of files that git does not know
    excluded = Path(git(copy, "rev-parse", "--absolute-git-dir")) / "info/exclude"
    excluded.parent.mkdir(exist_ok=True)
    excluded.write_text("".join(f"{path}\n" for path in (WORK, *inputs)), encoding="utf-8")


def _link_missing(source: Path, target: Path) -> None:
    """Link a file or folder, or of a folder that is there the files which are missing."""
    if source.is_dir() and target.is_dir() and not target.is_symlink():
        for path in source.iterdir():
            if path.is_dir():
                # DVC does not follow links to folders below one that it watches
                (target / path.name).mkdir(exist_ok=True)
            _link_missing(path, target / path.name)
    elif source.exists() and not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(source.resolve())


def _link_work(root: Path, copy: Path, name: str) -> None:
    """Unfinished work, and what could not be sent to MLflow, stay when the copy goes."""
    work, unsent = _work(root, name), root / WORK / UNSENT
    work.mkdir(parents=True, exist_ok=True)
    unsent.mkdir(exist_ok=True)
    (work / UNSENT).unlink(missing_ok=True)
    (work / UNSENT).symlink_to(unsent)
    (copy / WORK).symlink_to(work)
