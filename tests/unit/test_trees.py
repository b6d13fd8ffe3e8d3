"""A folder is looked at while others change it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cmet.trees import all_below


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("a/1", "a/2", "b/inner/3", "4"):
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "tree/link").symlink_to(tmp_path)
    return tmp_path / "tree"


def names(tree: Path) -> list[str]:
    return [path.relative_to(tree).as_posix() for path, _ in all_below(tree)]


def test_all_is_there_from_the_inside_out_and_links_are_not_followed(tree: Path) -> None:
    found = names(tree)
    assert sorted(found) == ["4", "a", "a/1", "a/2", "b", "b/inner", "b/inner/3", "link"]
    assert found.index("b/inner/3") < found.index("b/inner") < found.index("b")
    assert {path.name: facts.st_size for path, facts in all_below(tree)}["3"] == len("b/inner/3")


def test_what_goes_before_it_is_reached_is_left_out(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    walk = os.walk

    def then_gone(folder: Path, **options: Any) -> Iterator[Any]:
        for entry in walk(folder, **options):
            shutil.rmtree(tree / "a", ignore_errors=True)
            yield entry

    monkeypatch.setattr(os, "walk", then_gone)
    assert sorted(names(tree)) == ["4", "b", "b/inner", "b/inner/3", "link"]


def test_a_folder_that_goes_while_it_is_listed_is_left_out(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def gone_at_once(folder: Any) -> Any:
        if str(folder) == str(tree / "a"):
            shutil.rmtree(tree / "a")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", gone_at_once)
    assert sorted(names(tree)) == ["4", "b", "b/inner", "b/inner/3", "link"]


def test_a_file_and_what_is_not_there_have_nothing_below(tree: Path) -> None:
    assert names(tree / "4") == names(tree / "nowhere") == []
