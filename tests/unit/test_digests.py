"""Digests are those of the bytes, and a large file that has not changed is not read for them."""

import os
from pathlib import Path

import pytest

from cmet import digests
from cmet.digests import KEPT_FROM_BYTES, KeptDigests
from cmet.outputs import content_digest, file_sha256

LONG_AGO_NS = 10**18


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are read."""
    names: list[str] = []

    def noted(path: Path) -> bytes:
        names.append(path.name)
        return file_sha256(path)

    monkeypatch.setattr(digests, "file_sha256", noted)
    return names


def write(path: Path, content: bytes, changed_ns: int | None = LONG_AGO_NS) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    if changed_ns is not None:
        os.utime(path, ns=(changed_ns, changed_ns))
    return path


LARGE = bytes(KEPT_FROM_BYTES)


def test_what_has_not_changed_is_read_once_if_it_is_large(tmp_path: Path, read: list[str]) -> None:
    folder, kept = tmp_path / "data", tmp_path / "digests.json"
    write(folder / "large", LARGE)
    write(folder / "small", b"small")
    assert {KeptDigests(kept).of(folder) for _ in range(3)} == {content_digest(folder)}
    assert read == ["large", "small", "small", "small"]


@pytest.mark.parametrize("how", ["time", "size", "inode"])
def test_a_changed_file_is_read_again(tmp_path: Path, read: list[str], how: str) -> None:
    path, kept = write(tmp_path / "large", LARGE), tmp_path / "digests.json"
    first = KeptDigests(kept).of(path)
    if how == "time":
        write(path, b"x" + LARGE[1:], LONG_AGO_NS + 1)
    elif how == "size":
        write(path, LARGE + b"x")
    else:
        write(tmp_path / "other", b"x" + LARGE[1:]).replace(path)
    assert KeptDigests(kept).of(path) == content_digest(path) != first
    assert read == ["large", "large"]


def test_a_file_that_was_changed_just_now_is_read_until_it_has_settled(
    tmp_path: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, kept = write(tmp_path / "large", LARGE, None), tmp_path / "digests.json"
    found = path.stat()
    monkeypatch.setattr("cmet.digests.time.time_ns", lambda: found.st_mtime_ns)
    KeptDigests(kept).of(path)
    # within one tick of a coarse clock
    write(path, b"x" + LARGE[1:], found.st_mtime_ns)
    assert KeptDigests(kept).of(path) == content_digest(path)
    assert read == ["large", "large"]


@pytest.mark.parametrize("content", ["", "[]", "{", '{"%s": [1]}', '{"%s": null}'])
def test_a_damaged_list_is_not_believed(tmp_path: Path, content: str) -> None:
    path, kept = write(tmp_path / "large", LARGE), tmp_path / "digests.json"
    kept.write_text(content.replace("%s", str(path)))
    assert KeptDigests(kept).of(path) == content_digest(path)


def test_files_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    one, other, kept = write(tmp_path / "one", LARGE), write(tmp_path / "other", LARGE), tmp_path / "digests.json"
    KeptDigests(kept).of(one)
    one.unlink()
    KeptDigests(kept).of(other)
    assert str(other) in kept.read_text()
    assert str(one) not in kept.read_text()
