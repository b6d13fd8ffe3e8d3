"""What a path leads to is said; nothing but an ordinary file is opened."""

import os
import socket
from pathlib import Path

import pytest

from cmet.inputs.files import BadFile, kept_while_unchanged, not_a_folder, oddity, predicate, read_bytes, read_text


def test_what_is_no_ordinary_file_is_said_what_it_is(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").touch()
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "file").write_text("a")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(tmp_path / "socket"))
        said = {path.name: oddity(path) for path in tmp_path.iterdir()}
    assert said == {
        "pipe": "is a named pipe, not a file",
        "empty": "is empty",
        "link": "is a link to something that does not exist",
        "circle": "cannot be looked at (Too many levels of symbolic links)",
        "file": None,
        "socket": "is a socket, not a file",
    }
    assert oddity(tmp_path) == "is a folder, not a file"
    assert oddity(Path("/dev/zero")) == "is a device, not a file"
    assert oddity(tmp_path / "none") == oddity(tmp_path / "zero\0byte") == "no such file"
    assert predicate(tmp_path / "none") == "does not exist"
    assert not_a_folder(tmp_path / "none") == "no such folder"
    assert not_a_folder(tmp_path / "file") == "is a file, not a folder"
    assert not_a_folder(tmp_path / "pipe") == predicate(tmp_path / "pipe") == said["pipe"]
    assert oddity(tmp_path / ("a" * 300)) == "cannot be looked at (File name too long)"


def test_bytes_are_read_within_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(10))
    assert read_bytes(path, 10) == bytes(10)
    path.write_bytes(bytes((1 << 20) + 1))
    with pytest.raises(BadFile, match="a: larger than 1,024 KiB"):
        read_bytes(path, 1 << 20)


def test_text_is_utf_8_with_or_without_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"\xef\xbb\xbfgr\xc3\xbcn")
    assert read_text(path) == "grün"
    path.write_bytes(b"a\nb\ngr\xfcn")
    with pytest.raises(BadFile, match=r"a: not in UTF-8 \(line 3\); save it in UTF-8"):
        read_text(path)


def test_what_was_made_of_a_file_is_kept_while_it_is_the_same(tmp_path: Path) -> None:
    read: list[Path] = []

    @kept_while_unchanged(1)
    def text_of(path: Path) -> str:
        read.append(path)
        return path.read_text()

    a, b = tmp_path / "a", tmp_path / "b"
    a.write_text("one")
    b.write_text("other")
    assert [text_of(a), text_of(a)] == ["one", "one"]
    assert read == [a]
    # as long as before and of the same time, but another file
    facts = a.stat()
    (tmp_path / "c").write_text("two")
    (tmp_path / "c").replace(a)
    os.utime(a, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert text_of(a) == "two"
    assert [text_of(b), text_of(a)] == ["other", "two"]
    assert read == [a, a, b, a]
    a.unlink()
    with pytest.raises(FileNotFoundError):
        text_of(a)
