"""What may go of DVC's cache, by the program itself, which takes seconds to start."""

from pathlib import Path

import pytest
from dvc.repo import Repo

from cmet.cleaning import find_leftovers, remove
from cmet.places import only_run


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
