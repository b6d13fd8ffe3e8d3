"""What a change of one file repeats: what `dvc status` names in a copy of the project, and what stands below it."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import networkx
import pytest
from dvc.repo import Repo
from dvc.stage import Stage

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="git says which files the copy is made of")
CLIPS_ON = {"speech@opensmile", "directions", "judge"}
"""What reads clips and no faces."""
EDITS_ON = {"edits@facemesh", "timing@facemesh", "evaluate@facemesh", "report"}
DELTAS_ON = {"deltas@facemesh", "shards@facemesh", "train@facemesh", *EDITS_ON}

CHANGES: dict[str, set[str]] = {
    "cmet/report/templates/report.html.j2": {"report"},
    "cmet/report/labels.py": {"report"},
    "cmet/scores/figures.py": {"report"},
    "cmet/judge/small.py": {"judge", "evaluate@facemesh", "report"},
    "cmet/scores/metrics/landmarks.py": {"evaluate@facemesh", "report"},
    "cmet/backbones/facemesh/warp.py": {"expression@facemesh", *DELTAS_ON},
    "cmet/backbones/edtalk/decoder.py": set(),
    "cmet/connector/losses.py": {"train@facemesh", *EDITS_ON},
    "cmet/speech/scaling.py": DELTAS_ON,
    "cmet/clips/crop.py": {"clips", "expression@facemesh", *CLIPS_ON, *DELTAS_ON},
    "cmet/commands/edit.py": set(),
    "cmet/doctor/machine.py": set(),
    "cmet/environment.py": set(),
    "cmet/tracking/runs.py": set(),
    "cmet/params.py": set(),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repo]:
    """A copy of the project in which every stage is up to date, with outputs of a few bytes."""
    root = tmp_path_factory.mktemp("copy")
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if name != "dvc.lock" and (ROOT / name).is_file() and not name.startswith("tests/"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, root / name)
    shutil.rmtree(root / ".dvc")
    # DVC looks for stage files from the current folder
    with chdir(root):
        with Repo.init(no_scm=True) as repo:
            for out in repo.index.outs:
                _fill(Path(out.fs_path))
            # what a stage reads of an output
            for dep in repo.index.deps:
                if not Path(dep.fs_path).exists():
                    _fill(Path(dep.fs_path))
            repo.commit(force=True)
        with Repo() as repo:
            yield repo


def _fill(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix:
        path.write_text("{}")
    else:
        path.mkdir(exist_ok=True)
        (path / "file").write_text(path.name)


def test_nothing_is_to_be_done_in_the_copy(copy: Repo) -> None:
    assert repeated(copy) == set()


@pytest.mark.parametrize("changed", CHANGES)
def test_a_change_repeats_what_depends_on_it_and_nothing_else(copy: Repo, changed: str) -> None:
    path = Path(copy.root_dir) / changed
    before = path.read_bytes()
    path.write_bytes(before + b"\n")
    try:
        assert repeated(copy, path) == CHANGES[changed]
    finally:
        path.write_bytes(before)


def test_a_library_of_another_version_repeats_what_imports_it(copy: Repo) -> None:
    path = Path(copy.root_dir) / "versions.yaml"
    before = path.read_text()
    path.write_text(before.replace("webdataset: ", "webdataset: 0."))
    try:
        assert repeated(copy, path) == {"shards@facemesh", "train@facemesh", *EDITS_ON}
    finally:
        path.write_text(before)


def _reads(stage: Stage, path: Path) -> bool:
    return any(Path(dep.fs_path) in (path, *path.parents) for dep in stage.deps)


def repeated(repo: Repo, changed: Path | None = None) -> set[str]:
    """Stages that `dvc status` names, and those that `dvc dag` has below them.

    Where one file has changed, those that read something else only are as they were, and not asked.
    """
    asked = [stage for stage in repo.index.stages if changed is None or _reads(stage, changed)]
    # what `repo.status()` asks, which reads dvc.yaml and dvc.lock anew each time
    with repo.lock:
        named = {stage.addressing for stage in asked if stage.status()}
    # arrows of DVC's graph lead from a stage to what it reads
    below = {
        stage.name for start in repo.index.stages if start.name in named
        for stage in networkx.ancestors(repo.index.graph, start)
    }  # fmt: skip
    return named | below
