import io
import os
import re
import tarfile
import tempfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cmet import archives
from cmet.archives import local_file, read_archive
from cmet.errors import ClipError

BLOCK = 512


def noise(num_bytes: int, seed: int = 0) -> bytes:
    return np.random.default_rng(seed).integers(0, 256, num_bytes, np.uint8).tobytes()


MEMBERS = {
    "front/angry/level_1/001.mp4": noise(10_000, 1),
    "front/angry/level_1/002.mp4": noise(512, 2),
    "front/angry/level_1/003.mp4": noise(70_001, 3),
}


def add(tar: tarfile.TarFile, name: str, content: bytes = b"x", kind: bytes = tarfile.REGTYPE, link: str = "") -> None:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    member.size = len(content) if kind == tarfile.REGTYPE else 0
    tar.addfile(member, io.BytesIO(content) if member.size else None)


def make_tar(path: Path) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in MEMBERS.items():
            add(tar, name, content)
    return path


def make_zip(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in MEMBERS.items():
            file.writestr(name, content)
    return path


def read(path: Path) -> bytes:
    with local_file(path) as file:
        return file.read_bytes()


@pytest.mark.parametrize(("make", "name"), [(make_tar, "video.tar"), (make_zip, "video.zip")])
def test_members_are_read_bit_for_bit_and_nothing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], Path], name: str
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    archive = make(tmp_path / name)
    assert {member: read(archive / member) for member in MEMBERS} == MEMBERS
    assert read_archive(archive).sizes == {member: len(content) for member, content in MEMBERS.items()}
    assert not list((tmp_path / "temporary").iterdir())


def test_the_directory_of_a_zip_is_read_once_and_anew_when_it_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = make_zip(tmp_path / "video.zip")
    opened: list[Path] = []
    kind = zipfile.ZipFile
    monkeypatch.setattr(zipfile, "ZipFile", lambda path: opened.append(path) or kind(path))
    assert {member: read(archive / member) for member in MEMBERS} == MEMBERS
    assert len(MEMBERS) > 1 and opened == [archive]
    with kind(archive, "a") as file:
        file.writestr("front/new.mp4", b"new")
    assert read(archive / "front/new.mp4") == b"new"
    assert opened == [archive] * 2


def test_a_plain_file_is_itself(tmp_path: Path) -> None:
    path = tmp_path / "001.mp4"
    path.write_bytes(b"bytes")
    with local_file(path) as file:
        assert file == path


@pytest.mark.parametrize(("make", "name"), [(make_tar, "video.tar"), (make_zip, "video.zip")])
def test_a_member_that_is_not_there_is_named(tmp_path: Path, make: Callable[[Path], Path], name: str) -> None:
    archive = make(tmp_path / name)
    with pytest.raises(ClipError, match=f"missing_member: {re.escape(name)} does not contain front/004.mp4"):
        read(archive / "front/004.mp4")


def add_parent(tar: tarfile.TarFile) -> str:
    add(tar, "../x.mp4")
    return "../x.mp4"


def add_hidden_parent(tar: tarfile.TarFile) -> str:
    add(tar, "front/../../x.mp4")
    return "front/../../x.mp4"


def add_absolute(tar: tarfile.TarFile) -> str:
    add(tar, "/tmp/x.mp4")
    return "/tmp/x.mp4"


def add_symlink(tar: tarfile.TarFile) -> str:
    add(tar, "front/link.mp4", kind=tarfile.SYMTYPE, link="/etc/passwd")
    return "front/link.mp4"


def add_hard_link(tar: tarfile.TarFile) -> str:
    add(tar, "front/hard.mp4", kind=tarfile.LNKTYPE, link="../../etc/passwd")
    return "front/hard.mp4"


def add_device(tar: tarfile.TarFile) -> str:
    add(tar, "front/device", kind=tarfile.CHRTYPE)
    return "front/device"


@pytest.mark.parametrize(
    ("add_bad", "reason"),
    [
        (add_parent, "points outside the archive"),
        (add_hidden_parent, "points outside the archive"),
        (add_absolute, "points outside the archive"),
        (add_symlink, "is not a regular file"),
        (add_hard_link, "is not a regular file"),
        (add_device, "is not a regular file"),
    ],
)
def test_a_member_that_reaches_outside_is_refused(
    tmp_path: Path, add_bad: Callable[[tarfile.TarFile], str], reason: str
) -> None:
    archive = tmp_path / "video.tar"
    with tarfile.open(archive, "w") as tar:
        add(tar, "./front/001.mp4", b"good")
        name = add_bad(tar)
    index = read_archive(archive)
    assert index.sizes == {"front/001.mp4": 4}
    assert index.refused == {name: reason}
    assert read(archive / "front/001.mp4") == b"good"
    with pytest.raises(ClipError, match="missing_member"):
        read(archive / "front" / Path(name).name)


def test_a_zip_with_backslashes_between_folders_is_read_as_one_with_slashes(tmp_path: Path) -> None:
    archive = tmp_path / "video.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("front\\", b"")
        file.writestr("front\\001.mp4", b"good")
        for name in ("..\\x.mp4", "C:\\x.mp4", "\\x.mp4", "C:x.mp4"):
            file.writestr(name, b"bad")
    index = read_archive(archive)
    assert index.sizes == {"front/001.mp4": 4}
    assert read(archive / "front/001.mp4") == b"good"
    assert list(index.refused) == ["..\\x.mp4", "C:\\x.mp4", "\\x.mp4", "C:x.mp4"]


def test_of_a_name_that_comes_twice_the_first_counts(tmp_path: Path) -> None:
    archive = tmp_path / "video.tar"
    with tarfile.open(archive, "w") as tar:
        add(tar, "front/001.mp4", b"first")
        add(tar, "./front/001.mp4", b"second")
    assert read_archive(archive).refused == {"./front/001.mp4": "appears twice"}
    assert read(archive / "front/001.mp4") == b"first"


@pytest.mark.parametrize(
    ("num_bytes", "kept", "damage"),
    [
        # headers of 512 bytes; members take 10,240, 512 and 70,144 bytes with their padding
        (BLOCK + 10_240 + BLOCK + 512 + BLOCK + 40_000, 2, "cut short inside front/angry/level_1/003.mp4"),
        (BLOCK + 10_240 + BLOCK + 512, 2, "cut short between two files"),
        (BLOCK + 10_240 + 100, 1, "cut short between two files"),
        (BLOCK + 5_000, 0, "cut short inside front/angry/level_1/001.mp4"),
    ],
)
def test_a_tar_that_is_cut_says_where(tmp_path: Path, num_bytes: int, kept: int, damage: str) -> None:
    archive = make_tar(tmp_path / "video.tar")
    os.truncate(archive, num_bytes)
    index = read_archive(archive)
    assert list(index.sizes) == list(MEMBERS)[:kept]
    assert index.damage is not None and index.damage.startswith(damage)
    for name in index.sizes:
        assert read(archive / name) == MEMBERS[name]


def test_a_whole_tar_has_no_damage(tmp_path: Path) -> None:
    assert read_archive(make_tar(tmp_path / "video.tar")).damage is None


def test_a_large_sparse_tar_cut_in_the_middle_is_indexed_without_reading_it(tmp_path: Path) -> None:
    archive, size = tmp_path / "video.tar", 10 << 30
    with archive.open("wb") as stream:
        for number in range(1, 3):
            member = tarfile.TarInfo(f"front/{number:03d}.mp4")
            member.size = size
            stream.write(member.tobuf(tarfile.GNU_FORMAT))
            stream.seek(size, os.SEEK_CUR)
        stream.truncate(stream.tell() - size // 2)
    assert archive.stat().st_size > 15 << 30
    index = read_archive(archive)
    assert index.sizes == {"front/001.mp4": size}
    assert index.damage == "cut short inside front/002.mp4"


@pytest.mark.parametrize("name", ["video.tar", "video.zip"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<!DOCTYPE html><html>Quota exceeded", "html_page: video"),
        (b"\n <html><head>", "html_page: video"),
        (b"", "zero_bytes: video"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 7\n", "lfs_pointer: video"),
        (noise(5000), "bad_archive: video"),
    ],
)
def test_something_else_in_the_place_of_an_archive(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    archive = tmp_path / name
    archive.write_bytes(content)
    with pytest.raises(ClipError, match=reason):
        read(archive / "front/001.mp4")


def test_a_zip_cut_short_is_refused(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "video.zip")
    os.truncate(archive, archive.stat().st_size // 2)
    with pytest.raises(ClipError, match=r"bad_archive: video\.zip is not a zip file, or is cut short"):
        read(archive / next(iter(MEMBERS)))


@pytest.mark.parametrize("damaged", [b"\0" * 50, b"\xff" * 50])
def test_damaged_bytes_inside_a_zip_are_noticed(tmp_path: Path, damaged: bytes) -> None:
    archive = make_zip(tmp_path / "video.zip")
    content = archive.read_bytes()
    archive.write_bytes(content[:5000] + damaged + content[5050:])
    with pytest.raises(ClipError, match=r"bad_archive: front/angry/level_1/001\.mp4 in video\.zip is damaged"):
        read(archive / "front/angry/level_1/001.mp4")


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    # Explorer of Windows packs large files so, other programs encrypt them
    [(10, 9, "That compression method is not supported"), (8, 1, "File .* is encrypted, password required")],
)
def test_a_member_that_only_other_programs_unpack_is_named(tmp_path: Path, place: int, value: int, reason: str) -> None:
    archive = make_zip(tmp_path / "video.zip")
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\1\2") + place] = value
    archive.write_bytes(content)
    with pytest.raises(ClipError, match=rf"bad_archive: front/.* in video\.zip: {reason}.*; unpack the archive"):
        read(archive / "front/angry/level_1/001.mp4")


def test_a_zip_member_that_would_fill_the_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_UNPACKED_BYTES", 10_000)
    with zipfile.ZipFile(tmp_path / "video.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("bomb.mp4", bytes(1_000_000))
        file.writestr("clip.mp4", os.urandom(20_000))
    index = read_archive(tmp_path / "video.zip")
    assert list(index.sizes) == ["clip.mp4"]
    assert index.refused == {"bomb.mp4": "unpacks to far more than a clip"}


def test_memory_does_not_grow_with_the_members(tmp_path: Path) -> None:
    archive = tmp_path / "video.tar"
    with tarfile.open(archive, "w") as tar:
        add(tar, "front/large.mp4", bytes(64 << 20) + b"end")
    tracemalloc.start()
    with local_file(archive / "front/large.mp4") as file:
        assert file.stat().st_size == (64 << 20) + 3
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


@pytest.mark.parametrize(("kind", "reason"), [(b"", "zero_bytes"), (b"<html>no</html>", "html_page")])
def test_something_else_in_the_place_of_a_member(tmp_path: Path, kind: bytes, reason: str) -> None:
    archive = tmp_path / "video.tar"
    with tarfile.open(archive, "w") as tar:
        add(tar, "front/001.mp4", kind)
    with pytest.raises(ClipError, match=reason):
        read(archive / "front/001.mp4")


def test_a_tar_whose_first_header_is_damaged_is_a_bad_archive(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "video.tar")
    content = bytearray(archive.read_bytes())
    content[:20] = b"\xff" * 20
    archive.write_bytes(content)
    with pytest.raises(ClipError, match=r"bad_archive: video\.tar"):
        read(archive / "front/angry/level_1/002.mp4")
