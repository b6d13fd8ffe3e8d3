"""Packs hold the files of clips in few tars, the same bytes however they came to be, and give each by itself."""

import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from cmet import packs
from cmet.errors import UserError
from cmet.inputs.files import BadFile
from cmet.outputs import content_digest
from cmet.packs import (
    MAX_PACKS,
    Packs,
    file_digest,
    has_file,
    num_packs,
    pack_files,
    pack_name,
    plain_file,
    read_packed,
    unpack_file,
    write_packs,
)

FILES = {f"clip-{number}.bin": bytes([number]) * (number * 37) for number in range(40)}
"""The first one is empty."""


@pytest.fixture(autouse=True)
def few_per_pack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs, "FILES_PER_PACK", 5)


def lay(folder: Path, names: list[str], files: dict[str, bytes] = FILES) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(files[name])
    return folder


def packed(folder: Path, files: dict[str, bytes] = FILES) -> Path:
    pack_files(lay(folder, list(files), files), files, "test")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {name: read_packed(Packs(folder).path(name)) for name in Packs(folder).names()}


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_file_is_read_by_itself_and_nothing_lies_beside_the_packs(tmp_path: Path) -> None:
    folder = packed(tmp_path / "video")
    assert sorted(path.name for path in folder.iterdir()) == [f"{number}-of-8.tar" for number in range(8)]
    assert contents(folder) == FILES
    assert "clip-7.bin" in Packs(folder)
    assert "clip-77.bin" not in Packs(folder)


def test_a_pack_is_a_tar_like_any_other(tmp_path: Path) -> None:
    folder = packed(tmp_path / "video", FILES | {"ÄÖ-" + "long-" * 40 + "é.bin": b"named at length"})
    found = {}
    for path in folder.iterdir():
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                assert (member.mtime, member.uid, member.gid, member.mode) == (0, 0, 0, 0o644)
                found[member.name] = tar.extractfile(member).read()  # type: ignore[union-attr]
    del found["__index__"]
    assert found == contents(folder)


def test_webdataset_reads_packs_and_passes_over_their_index(tmp_path: Path) -> None:
    from webdataset import WebDataset

    folder = packed(tmp_path / "video")
    samples = WebDataset([str(path) for path in sorted(folder.iterdir())], shardshuffle=False)
    assert {f"{sample['__key__']}.bin": sample["bin"] for sample in samples} == FILES


def test_the_order_of_the_work_does_not_show_in_the_bytes(tmp_path: Path) -> None:
    names = list(FILES)
    one = packed(tmp_path / "one")
    random.Random(1).shuffle(names)
    pack_files(lay(tmp_path / "two", names), names, "test")
    write_packs(tmp_path / "three", names, FILES.__getitem__, "test")
    assert bytes_of(one) == bytes_of(tmp_path / "two") == bytes_of(tmp_path / "three")


def test_a_changed_file_changes_its_pack_only_and_the_others_are_not_written_anew(tmp_path: Path) -> None:
    folder = packed(tmp_path / "video")
    before, inodes = bytes_of(folder), {path.name: path.stat().st_ino for path in folder.iterdir()}
    (folder / "clip-7.bin").write_bytes(b"another")
    pack_files(folder, FILES, "test")
    own = pack_name("clip-7.bin", 8)
    assert contents(folder) == FILES | {"clip-7.bin": b"another"}
    assert {name for name, content in bytes_of(folder).items() if content != before[name]} == {own}
    assert {path.name for path in folder.iterdir() if path.stat().st_ino != inodes[path.name]} == {own}


def test_one_file_more_or_less_changes_one_pack(tmp_path: Path) -> None:
    more = packed(tmp_path / "more")
    less = packed(tmp_path / "less", {name: content for name, content in FILES.items() if name != "clip-7.bin"})
    one, other = bytes_of(more), bytes_of(less)
    assert one.keys() == other.keys()
    assert {name for name in one if one[name] != other[name]} == {pack_name("clip-7.bin", 8)}


def test_files_that_are_no_longer_wanted_are_gone_packed_or_not(tmp_path: Path) -> None:
    folder = packed(tmp_path / "video")
    lay(folder, ["clip-3.bin"])
    wanted = [name for name in FILES if name not in ("clip-3.bin", "clip-9.bin")]
    pack_files(folder, wanted, "test")
    assert contents(folder) == {name: FILES[name] for name in wanted}
    assert all(path.suffix == ".tar" for path in folder.iterdir())


def test_packs_of_another_number_are_split(tmp_path: Path) -> None:
    few = dict(list(FILES.items())[:9])
    folder = packed(tmp_path / "video", few)
    assert len(list(folder.iterdir())) == 2
    packed(folder, FILES)
    assert bytes_of(folder) == bytes_of(packed(tmp_path / "at once"))


def test_packs_that_are_written_take_the_place_of_those_of_another_number(tmp_path: Path) -> None:
    for files in (FILES, dict(list(FILES.items())[:9]), FILES):
        write_packs(tmp_path / "again", files, files.__getitem__, "test")
        assert contents(tmp_path / "again") == files


def test_no_files_are_one_empty_pack(tmp_path: Path) -> None:
    pack_files(tmp_path / "video", [], "test")
    assert [path.name for path in (tmp_path / "video").iterdir()] == ["0-of-1.tar"]
    assert Packs(tmp_path / "video").names() == []


@pytest.mark.parametrize("num", [0, 1, 5, 6, 300, 1_000_000])
def test_packs_are_a_power_of_two_and_bounded(num: int) -> None:
    total = num_packs(num)
    assert total & (total - 1) == 0
    assert total <= MAX_PACKS
    assert total == MAX_PACKS or 5 * total >= num > 5 * total // 2 or total == 1


def test_a_file_that_is_nowhere_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="video/clip-1.bin: no such file; run the stage that writes it again"):
        pack_files(lay(tmp_path / "video", ["clip-0.bin"]), ["clip-0.bin", "clip-1.bin"], "test")


@pytest.mark.parametrize("name", ["a/b.bin", "a\tb.bin", "a\nb.bin", "0-of-1.tar", ""])
def test_a_name_that_fits_no_pack_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="no name for a file in a pack"):
        write_packs(tmp_path, [name], lambda _: b"", "test")
    assert not has_file(tmp_path / "0-of-1.tar" / name) or name == ""


KILLED = """
import os, signal, sys
from pathlib import Path
from cmet import packs

packs.FILES_PER_PACK = 5
folder, calls = Path(sys.argv[1]), int(sys.argv[2])
step = {step}

def dying(*args, **kwargs):
    global calls
    if not calls:
        os.kill(os.getpid(), signal.SIGKILL)
    calls -= 1
    return step(*args, **kwargs)

{step} = dying
packs.pack_files(folder, [p.name for p in folder.iterdir() if p.suffix != ".tar"], "test")
"""


@pytest.mark.parametrize(("step", "calls"), [("packs._header", 0), ("packs._header", 23), ("Path.unlink", 12)])
def test_after_a_kill_packing_goes_on_and_nothing_is_lost(tmp_path: Path, step: str, calls: int) -> None:
    folder = lay(tmp_path / "video", list(FILES))
    done = subprocess.run([sys.executable, "-c", KILLED.format(step=step), folder, str(calls)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert any(path.suffix == ".bin" and path.name in FILES for path in folder.iterdir())
    finished = {path.name: path.stat().st_ino for path in folder.glob("*-of-8.tar")}
    assert bool(finished) == bool(calls)
    pack_files(folder, FILES, "test")
    assert bytes_of(folder) == bytes_of(packed(tmp_path / "at once"))
    kept = {name for name, inode in finished.items() if (folder / name).stat().st_ino == inode}
    # one at most is written again, whose files were not all removed
    assert len(kept) >= len(finished) - 1


def damage(pack: Path, how: str) -> None:
    content = bytearray(pack.read_bytes())
    if how == "cut":
        content = content[:-1]
    elif how == "index":
        content[600] ^= 1
    elif how == "header":
        content[0] ^= 1
    elif how == "size":
        content[124:135] = b"7" * 11
    elif how == "content":
        content[content.index(b"\x07" * 37)] ^= 1
    elif how == "no tar":
        content = bytearray(b"<html>")
    pack.write_bytes(content)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("cut", "tar: damaged, or no pack that this version has written; run the stage that writes it again"),
        ("index", "tar: damaged, or no pack"),
        ("header", "tar: damaged, or no pack"),
        ("size", "tar: damaged, or no pack"),
        ("no tar", "tar: damaged, or no pack"),
        ("content", "clip-7.bin: damaged since it was written; run the stage that writes it again"),
    ],
)
def test_a_damaged_pack_is_told_in_one_sentence(tmp_path: Path, how: str, said: str) -> None:
    folder = packed(tmp_path / "video")
    path = Packs(folder).path("clip-7.bin")
    damage(path.parent, how)
    with pytest.raises(BadFile, match=said) as raised:
        read_packed(path)
    assert str(folder) in str(raised.value)


def test_a_pack_that_is_missing_or_of_another_set_is_told(tmp_path: Path) -> None:
    folder = packed(tmp_path / "video")
    path = Packs(folder).path("clip-7.bin")
    path.parent.unlink()
    with pytest.raises(BadFile, match=r"-of-8.tar/clip-7.bin: no such file"):
        read_packed(path)
    with pytest.raises(BadFile, match=r"-of-8.tar: no such file"):
        Packs(folder).names()
    (folder / "0-of-1.tar").write_bytes(b"")
    with pytest.raises(BadFile, match=r"holds packs of several sets \(1, 8\)"):
        Packs(folder).path("clip-7.bin")


def test_an_index_leads_to_nothing_outside_its_pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs, "_Member", lambda offset, num_bytes, checksum: (offset, num_bytes + (1 << 40), checksum))
    write_packs(tmp_path / "video", ["a.bin"], lambda _: b"a", "test")
    monkeypatch.undo()
    with pytest.raises(BadFile, match="0-of-1.tar: damaged"):
        read_packed(tmp_path / "video/0-of-1.tar/a.bin")


def test_a_packed_file_can_be_opened_by_name_unpacked_and_told_by_its_digest(tmp_path: Path) -> None:
    path, plain = Packs(packed(tmp_path / "video")).path("clip-7.bin"), tmp_path / "plain.bin"
    plain.write_bytes(FILES["clip-7.bin"])
    with plain_file(path) as opened:
        assert opened.read_bytes() == FILES["clip-7.bin"]
        stream = opened.open("rb")
    assert stream.read() == FILES["clip-7.bin"]
    stream.close()
    assert not opened.exists()
    out = unpack_file(path, tmp_path / "out")
    assert (out.name, out.read_bytes()) == ("clip-7.bin", FILES["clip-7.bin"])
    assert file_digest(path) == file_digest(plain) == content_digest(plain)
    assert unpack_file(plain, tmp_path / "out") == plain
    with plain_file(plain) as opened:
        assert opened == plain


def test_a_folder_may_be_called_like_a_pack(tmp_path: Path) -> None:
    folder = tmp_path / "3-of-8.tar"
    folder.mkdir()
    (folder / "a.bin").write_bytes(b"a")
    assert has_file(folder / "a.bin")
    with plain_file(folder / "a.bin") as opened:
        assert opened.read_bytes() == b"a"


def test_packs_that_were_moved_are_read_where_they_are(tmp_path: Path) -> None:
    folder = packed(tmp_path / "video")
    contents(folder)
    shutil.move(folder, tmp_path / "elsewhere")
    assert contents(tmp_path / "elsewhere") == FILES
    assert os.listdir(tmp_path) == ["elsewhere"]  # noqa: PTH208
