"""A map begins with the output that it has made before, does what has changed, and leaves the bytes of a whole run."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from cmet import packs
from cmet.engine.attempts import Job
from cmet.engine.clip_map import ClipMap
from cmet.engine.earlier import Earlier
from cmet.packs import Packs, pack_files, pack_name, read_packed
from tests.clip_jobs import write_double

VALUES = {f"clip{number}": number for number in range(30)}
KEY = "0123456789abcdef"


@pytest.fixture(autouse=True)
def few_per_pack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs, "FILES_PER_PACK", 5)


def made(root: Path, values: Mapping[str, int], key: str = KEY) -> Path:
    """The output of a map whose clips are made of these values."""
    jobs: list[Job] = [{"clip_id": name, "value": value, "stamp": [value]} for name, value in values.items()]
    out = root / "out"
    clip_map = ClipMap(write_double, root / key, "test", earlier=Earlier(out, root / "made/test.jsonl"))
    records = clip_map.run(jobs, num_workers=1)
    names = [f"{record['clip_id']}.txt" for record in records if record["status"] == "ok"]
    pack_files(clip_map.files / "numbers", names, "test")
    (clip_map.files / "table").write_text(str([record.get("double") for record in records]))
    clip_map.publish(out)
    assert not (root / key).exists()
    return out


def bytes_of(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def inodes(out: Path) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in (out / "numbers").iterdir()}


def taken_over(capsys: pytest.CaptureFixture[str]) -> int:
    """How many clips the last run has not done itself."""
    said = capsys.readouterr().err
    return int(said.partition("goes on after ")[2].split()[0]) if "goes on after" in said else 0


@pytest.mark.parametrize(
    ("changes", "num_kept"),
    [
        ({}, 30),
        ({"clip7": 100}, 29),
        ({"clip7": -1}, 29),
        ({"new": 3}, 30),
        ({f"new{number}": number for number in range(30)}, 30),
    ],
    ids=["nothing", "one is another", "one is quarantined", "one more", "twice as many packs"],
)
def test_only_what_has_changed_is_done_and_the_bytes_are_those_of_a_whole_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, int], num_kept: int
) -> None:
    before = inodes(made(tmp_path / "again", VALUES))
    capsys.readouterr()
    out = made(tmp_path / "again", VALUES | changes)
    assert taken_over(capsys) == num_kept
    assert bytes_of(out) == bytes_of(made(tmp_path / "whole", VALUES | changes))
    if len(changes) < 2:
        own = {pack_name(f"{name}.txt", 8) for name in changes}
        assert {name for name, inode in inodes(out).items() if before[name] != inode} == own


def test_a_clip_that_is_gone_leaves_its_pack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path / "again", VALUES)
    fewer = {name: value for name, value in VALUES.items() if name != "clip7"}
    out = made(tmp_path / "again", fewer)
    assert bytes_of(out) == bytes_of(made(tmp_path / "whole", fewer))
    capsys.readouterr()
    # and what came back is no longer known
    made(tmp_path / "again", VALUES)
    assert taken_over(capsys) == 29


def test_a_quarantined_clip_is_tried_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, VALUES | {"clip7": -1})
    capsys.readouterr()
    out = made(tmp_path, VALUES)
    assert taken_over(capsys) == 29
    assert read_packed(Packs(out / "numbers").path("clip7.txt")) == b"14"


def test_other_code_or_parameters_begin_with_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, VALUES)
    capsys.readouterr()
    made(tmp_path, VALUES, key="f" * 16)
    assert taken_over(capsys) == 0


@pytest.mark.parametrize(
    "how", ["gone", "a pack is gone", "damaged", "another", "no pack any more", "records cut short"]
)
def test_an_output_that_is_another_one_by_now_is_not_taken_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    out = made(tmp_path, VALUES)
    folder = out / "numbers"
    pack = Packs(folder).path("clip7.txt").parent
    if how == "gone":
        shutil.rmtree(out)
    elif how == "a pack is gone":
        pack.unlink()
    elif how == "damaged":
        pack.write_bytes(pack.read_bytes()[:700])
    elif how == "another":
        (folder / "clip7.txt").write_text("another")
        pack_files(folder, [f"{name}.txt" for name in VALUES], "test")
    elif how == "no pack any more":
        shutil.rmtree(folder)
    else:
        records = tmp_path / "made/test.jsonl"
        records.write_bytes(records.read_bytes()[:50])
    capsys.readouterr()
    again = made(tmp_path, VALUES)
    assert taken_over(capsys) == 0
    assert bytes_of(again) == bytes_of(made(tmp_path / "whole", VALUES))


def test_the_cache_behind_an_output_is_never_written_to(tmp_path: Path) -> None:
    out = made(tmp_path, VALUES)
    cache = tmp_path / "cache"
    cache.mkdir()
    for pack in (out / "numbers").iterdir():
        os.link(pack, cache / pack.name)
    before = bytes_of(cache)
    made(tmp_path, VALUES | {"clip7": 100, "clip8": 100})
    assert bytes_of(cache) == before


def test_an_output_of_symbolic_links_is_taken_over_as_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = made(tmp_path, VALUES)
    cache = tmp_path / "cache"
    shutil.copytree(out / "numbers", cache)
    for pack in (out / "numbers").iterdir():
        pack.unlink()
        pack.symlink_to(cache / pack.name)

    def other_disk(self: Path, target: Path) -> None:
        raise OSError

    monkeypatch.setattr(Path, "hardlink_to", other_disk)
    capsys.readouterr()
    out = made(tmp_path, VALUES | {"clip7": 100})
    assert taken_over(capsys) == 29
    assert not any(pack.is_symlink() for pack in (out / "numbers").iterdir())
    assert bytes_of(out) == bytes_of(made(tmp_path / "whole", VALUES | {"clip7": 100}))


@pytest.mark.parametrize("moment", ["packs half linked", "records not yet there", "kept and not published"])
def test_after_a_kill_all_is_made_as_in_a_whole_run(
    tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    made(tmp_path / "again", VALUES)
    changed = VALUES | {"clip7": 100}
    with monkeypatch.context() as patch, pytest.raises(Killed):
        if moment == "packs half linked":
            link, left = Path.hardlink_to, [kill, kill, Path.hardlink_to, Path.hardlink_to]
            patch.setattr(Path, "hardlink_to", lambda self, target: (left.pop() if left else link)(self, target))
        elif moment == "records not yet there":
            patch.setattr("cmet.engine.earlier.fresh_file", kill)
        else:
            patch.setattr("cmet.engine.clip_map.publish", kill)
        made(tmp_path / "again", changed)
    assert bytes_of(made(tmp_path / "again", changed)) == bytes_of(made(tmp_path / "whole", changed))
