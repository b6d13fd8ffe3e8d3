import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from cmet import outputs
from cmet.errors import UserError
from cmet.outputs import as_utf8, content_digest, fresh_file, fresh_folder, published_after


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


def test_nothing_is_left_of_a_file_that_failed_in_a_new_folder(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), fresh_file(tmp_path / "new/folder/out.txt") as unfinished:
        unfinished.write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_others_have_used_meanwhile_stays(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), fresh_file(tmp_path / "new/folder/out.txt"):
        (tmp_path / "new/other").touch()
        raise RuntimeError
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["new", "other"]


def test_a_name_may_be_as_long_as_names_can_be(tmp_path: Path) -> None:
    out = tmp_path / ("a" * 251 + ".txt")
    with fresh_file(out) as unfinished:
        assert unfinished.suffix == ".txt"
        unfinished.touch()
    assert list(tmp_path.iterdir()) == [out]


def test_the_digest_of_a_folder_changes_with_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    first = content_digest(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    assert content_digest(tmp_path) != first


def test_a_name_that_is_no_utf8_is_shown_by_its_bytes() -> None:
    assert as_utf8(os.fsdecode(b"caf\xe9.mp4")) == r"caf\xe9.mp4"
    assert as_utf8(Path("café.mp4")) == "café.mp4"


def covered() -> Exception:
    """An error of a library that says nothing, raised while it handled what the disk said."""
    error = RuntimeError("unexpected pos 576 vs 534")
    error.__context__ = OSError(errno.EDQUOT, "")
    return error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (OSError(errno.EFBIG, "File too large"), "File too large"),
        (covered(), "Disk quota exceeded"),
        (ValueError("I/O error: No space left on device (os error 28)"), "No space left on device"),
        (ValueError("database or disk is full"), "disk is full"),
        (ValueError("500000 requested and 5616 written"), "500000 requested and 5616 written"),
    ],
)
def test_a_full_disk_is_one_sentence_whoever_ran_into_it(tmp_path: Path, error: Exception, said: str) -> None:
    with pytest.raises(UserError) as raised, fresh_folder(tmp_path / "out"):
        raise error
    expected = f"{tmp_path / 'out'}: cannot be written ({said}); make room and run the same command again"
    assert str(raised.value) == expected


def test_an_error_that_says_nothing_is_laid_to_a_disk_without_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="^unexpected pos$"), fresh_folder(tmp_path / "out"):
        raise ValueError("unexpected pos")
    monkeypatch.setattr(outputs.shutil, "disk_usage", lambda _: SimpleNamespace(free=4096))
    said = r"/out: cannot be written \(No space left on device\)"
    with pytest.raises(UserError, match=said), fresh_folder(tmp_path / "out"):
        raise ValueError("unexpected pos")
    with pytest.raises(UserError, match="^there are no clips$"), fresh_folder(tmp_path / "out"):
        raise UserError("there are no clips")


def test_nothing_takes_the_place_of_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="pipe: is no ordinary file"), fresh_file(tmp_path / "pipe"):
        pass
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("name", ["long" * 75, "circle"])
def test_what_no_file_can_be_called_is_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(UserError, match="cannot be written .*; name another path"), fresh_file(tmp_path / name):
        pass
    assert (tmp_path / "circle").is_symlink()


def test_a_last_look_keeps_the_old_output_and_is_of_that_output_alone(tmp_path: Path) -> None:
    def refuse() -> None:
        raise UserError("changed")

    def write(out: Path, text: str) -> None:
        with fresh_folder(out) as folder:
            (folder / "x").write_text(text)

    write(tmp_path / "out", "old")
    with published_after(refuse, tmp_path / "out"):
        write(tmp_path / "other", "new")
        with pytest.raises(UserError, match="changed"):
            write(tmp_path / "out", "new")
        with pytest.raises(UserError, match="changed"), fresh_file(tmp_path / "out/x") as unfinished:
            unfinished.write_text("new")
    assert {path.parent.name: path.read_text() for path in tmp_path.rglob("x")} == {"out": "old", "other": "new"}
    assert len(list(tmp_path.iterdir())) == 2
    write(tmp_path / "out", "new")
    assert (tmp_path / "out/x").read_text() == "new"
