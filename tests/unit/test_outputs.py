from pathlib import Path

import pytest

from cmet.outputs import content_digest, fresh_file, fresh_folder, work_folder
from cmet.params import Params


def test_a_folder_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(RuntimeError), fresh_folder(out) as folder:
        (folder / "half").touch()
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_an_older_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for name in ("first", "second"):
        with fresh_folder(out) as folder:
            (folder / name).touch()
    assert [path.name for path in out.iterdir()] == ["second"]


def test_a_file_keeps_its_old_content_when_writing_fails(tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    out.write_text("old")
    with pytest.raises(RuntimeError), fresh_file(out) as unfinished:
        unfinished.write_text("new")
        raise RuntimeError
    assert out.read_text() == "old"
    assert list(tmp_path.iterdir()) == [out]


def test_work_is_continued_for_the_same_input_and_dropped_for_another(tmp_path: Path, params: Params) -> None:
    source = tmp_path / "input"
    source.write_text("a")
    first = work_folder(tmp_path / "work", "clips", params.clips, [source])
    (first / "done").touch()
    assert (work_folder(tmp_path / "work", "clips", params.clips, [source]) / "done").exists()
    source.write_text("b")
    assert not (work_folder(tmp_path / "work", "clips", params.clips, [source]) / "done").exists()
    assert not first.exists()


def test_the_digest_of_a_folder_changes_with_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    first = content_digest(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    assert content_digest(tmp_path) != first
