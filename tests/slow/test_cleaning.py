"""What may go of DVC's cache and MLflow's store, by the programs themselves, which take seconds to start."""

import shutil
from pathlib import Path

import pytest
from dvc.repo import Repo

from cmet.cleaning import find_leftovers, remove
from cmet.params import Params
from cmet.places import only_run
from cmet.tracking.runs import About, tracked_run


@pytest.fixture
def cached(tmp_path: Path) -> Path:
    """A project in whose cache one of two entries is of no use."""
    root = tmp_path / "cached"
    root.mkdir()
    with Repo.init(str(root), no_scm=True) as repo:
        for content in ("hello", "good day"):
            (root / "a").write_text(content)
            repo.add(str(root / "a"))
    return root


def entries(root: Path) -> set[str]:
    return {path.read_text() for path in (root / ".dvc/cache").rglob("*") if path.is_file()}


def test_dvc_clears_its_cache_itself(cached: Path) -> None:
    (found,) = find_leftovers(cached, has_outputs=False)
    assert (found.kind, found.size_bytes, found.kept) == ("cache", 5, None)
    assert found.what.startswith("1 entry that this checkout does not use")
    assert entries(cached) == {"hello", "good day"}
    with only_run(cached / ".work/train-facemesh.lock", "train"):
        assert remove(cached, [found]).size_bytes == 0
    assert entries(cached) == {"hello", "good day"}
    assert remove(cached, [found]).size_bytes == 5
    assert entries(cached) == {"good day"}


def test_old_runs_of_mlflow_go_with_those_below_them_and_registered_ones_stay(
    tmp_path: Path, params: Params, empty_store: Path
) -> None:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    (tmp_path / "file").write_bytes(b"x" * 1000)
    ids = {}
    for name in ("registered", "old", "deleted", "new"):
        about = About(name, "train", "facemesh", params, {}, "code", tmp_path)
        with tracked_run(about) as run, tracked_run(about, run) as below:
            below.log_file(tmp_path / "file")
        ids[name] = {run.run_id, below.run_id}
        if name == "deleted":
            run.client.delete_run(run.run_id)
            run.client.delete_run(below.run_id)
        if name == "registered":
            run.client.create_registered_model("cmet-facemesh")
            run.client.create_model_version("cmet-facemesh", f"runs:/{run.run_id}/model", run.run_id)
    with (
        pytest.raises(ValueError),
        tracked_run(About("x", "evaluate", "facemesh", params, {}, "code", tmp_path)) as run,
    ):
        raise ValueError

    (found,) = find_leftovers(tmp_path, has_outputs=False, num_kept_runs=1)
    assert (found.kind, set(found.run_ids)) == ("runs", ids["old"] | ids["deleted"])
    assert found.size_bytes > 2 * 1000
    remove(tmp_path, [found])
    assert {path.name for path in (tmp_path / "mlruns").iterdir()} == ids["registered"] | ids["new"] | {run.run_id}
    assert find_leftovers(tmp_path, has_outputs=False, num_kept_runs=1) == []
