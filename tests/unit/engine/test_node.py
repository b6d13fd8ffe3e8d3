"""What a node of a cluster does before its workers begin."""

import tempfile
from pathlib import Path

import pytest
from filelock import FileLock

from cmet.engine.node import SCRATCH, _own_scratch


def test_scratch_of_killed_nodes_is_deleted_and_that_of_others_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    killed, used = tmp_path / f"{SCRATCH}killed", tmp_path / f"{SCRATCH}used"
    for folder in (killed, used):
        folder.mkdir()
        (folder / "clip1").touch()
    killed.with_suffix(".lock").touch()
    with FileLock(used.with_suffix(".lock")):
        own, lock = _own_scratch()
    lock.release()
    assert sorted(path for path in tmp_path.iterdir() if path.is_dir()) == sorted([own, used])
    assert (used / "clip1").exists()
    assert not killed.with_suffix(".lock").exists()
