import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from cmet.errors import ClipError, UserError
from cmet.objects import cache as module
from cmet.objects.cache import ObjectCache
from tests.conftest import ROOT

SIZE = 1000


@pytest.fixture
def cache(tmp_path: Path) -> ObjectCache:
    """Room for three objects."""
    return ObjectCache(tmp_path / "cache", 3 * SIZE)


def writing(content: bytes = bytes(SIZE)) -> Callable[[Path], None]:
    return lambda target: None if target.write_bytes(content) else None


def read(cache: ObjectCache, key: str, num_bytes: int = SIZE) -> None:
    with cache.holding(key, "a.mp4", num_bytes, writing(bytes(num_bytes))) as file:
        assert file.stat().st_size == num_bytes


def here(cache: ObjectCache) -> set[str]:
    return {path.parent.name for path in cache.folder.rglob("*.mp4")}


def size(cache: ObjectCache) -> int:
    return sum(path.stat().st_size for path in cache.folder.rglob("*") if path.is_file() and path.name != "usage")


def test_the_least_recently_used_makes_room(cache: ObjectCache) -> None:
    for key in ("a", "b", "c", "a", "d"):
        read(cache, key)
        time.sleep(0.01)
    assert "b" not in here(cache)
    assert {"a", "d"} <= here(cache)
    assert size(cache) <= cache.max_bytes
    assert not [path for path in cache.folder.iterdir() if path.is_dir() and not any(path.iterdir())]


def test_what_is_in_use_is_not_removed(cache: ObjectCache) -> None:
    with cache.holding("a", "a.mp4", SIZE, writing()) as held:
        for key in ("b", "c", "d", "e", "f"):
            read(cache, key)
        assert held.exists()
    read(cache, "g", 3 * SIZE)
    assert here(cache) == {"g"}


def test_who_finds_everything_in_use_waits_and_is_told_in_the_end(
    cache: ObjectCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_FOR_ROOM_S", 0.0)
    monkeypatch.setattr(module, "LOOK_FOR_ROOM_S", 0.0)
    with ExitStack() as stack:
        for key in ("a", "b", "c"):
            stack.enter_context(cache.holding(key, "a.mp4", SIZE, writing()))
        with pytest.raises(UserError, match="everything in the cache of 3e-06 GB has been in use .*CMET_CACHE_GB"):
            read(cache, "d")
        # what is here already needs no room
        read(cache, "a")
    read(cache, "d")


def test_an_object_larger_than_the_cache_is_told(cache: ObjectCache) -> None:
    with pytest.raises(UserError, match="does not fit into a cache of 3e-06 GB; raise CMET_CACHE_GB"):
        read(cache, "a", 4 * SIZE)
    assert size(cache) == 0


def test_after_an_error_nothing_is_left_and_nothing_counts(cache: ObjectCache) -> None:
    def fail(target: Path) -> None:
        target.write_bytes(b"half")
        raise ClipError("missing_object", "gone")

    for _ in range(5):
        with pytest.raises(ClipError, match="gone"), cache.holding("a", "a.mp4", SIZE, fail):
            pass
    assert [path.name for path in cache.folder.iterdir()] == ["usage"]
    assert int((cache.folder / "usage").read_text()) == 0


def test_what_a_power_failure_has_cut_short_is_brought_again(cache: ObjectCache) -> None:
    read(cache, "a")
    os.truncate(cache.folder / "a/a.mp4", 10)
    read(cache, "a")
    (cache.folder / "usage").write_text("12")
    read(cache, "b")
    assert int((cache.folder / "usage").read_text()) == 2 * SIZE


def test_a_full_disk_names_the_cache(cache: ObjectCache) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE // 2, before[1]))
    try:
        with pytest.raises(
            UserError, match="there is no room for a.mp4; make some, or name .*CMET_CACHE_DIR"
        ) as raised:
            read(cache, "a")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    # the map over clips would take it for a full disk of its own
    assert raised.value.__context__ is None
    assert [path.name for path in cache.folder.iterdir()] == ["usage"]


def test_a_killed_download_leaves_nothing_half(cache: ObjectCache, tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from cmet.objects.cache import ObjectCache\n"
        "def bring(target):\n"
        "    target.write_bytes(b'half'); Path(sys.argv[2]).touch(); time.sleep(60)\n"
        f"with ObjectCache(Path(sys.argv[1]), {cache.max_bytes}).holding('aa', 'a.mp4', {SIZE}, bring): pass\n"
    )
    begun = tmp_path / "begun"
    process = subprocess.Popen([sys.executable, "-c", code, str(cache.folder), str(begun)], cwd=ROOT)
    while not begun.exists():
        assert process.poll() is None
        time.sleep(0.01)
    # it is at work: its room is not given away, and its part stays
    read(cache, "b")
    read(cache, "c", SIZE)
    read(cache, "d", SIZE)
    assert len(list(cache.folder.glob("*.part"))) == 1
    process.send_signal(signal.SIGKILL)
    process.wait()
    read(cache, "e", 3 * SIZE)
    assert not list(cache.folder.glob("*.part"))
    read(cache, "aa")
    assert size(cache) <= cache.max_bytes


def test_processes_share_a_cache_that_is_too_small_for_them(tmp_path: Path) -> None:
    folder, max_bytes = tmp_path / "cache", 8 * SIZE
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.object_readers", folder, *map(str, (max_bytes, seed, 400, 12, SIZE))],
            cwd=ROOT,
        )
        for seed in range(2)
    ]
    most = 0
    while any(process.poll() is None for process in processes):
        if folder.exists():
            most = max(most, _size_now(folder))
        time.sleep(0.001)
    assert [process.returncode for process in processes] == [0, 0]
    assert 0 < most <= max_bytes
    brought = (tmp_path / "brought").read_text().split()
    assert len(set(brought)) == 2
    # many reads found what was there, whoever had brought it
    assert 12 < len(brought) < 700


def _size_now(folder: Path) -> int:
    """Bytes on the disk at one moment, in which nothing is removed."""
    sizes: dict[int, int] = {}
    with ObjectCache(folder, 1)._counted():
        for above, _, names in os.walk(folder):
            for name in set(names) - {"usage"}:
                with suppress(FileNotFoundError):
                    # a file may be renamed meanwhile
                    facts = os.stat(os.path.join(above, name))  # noqa: PTH116, PTH118
                    sizes[facts.st_ino] = facts.st_size
    return sum(sizes.values())


@pytest.mark.parametrize("said", ["much", "0", "-1", "nan", "inf"])
def test_a_size_that_is_none_is_told(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CMET_CACHE_GB", said)
    with pytest.raises(UserError, match=f"CMET_CACHE_GB: expected the gigabytes .* found '{said}'"):
        ObjectCache.of_machine()


def test_the_environment_names_folder_and_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CMET_CACHE_GB", "0.5")
    monkeypatch.setenv("CMET_CACHE_DIR", "/disk/cache")
    assert ObjectCache.of_machine() == ObjectCache(Path("/disk/cache"), 500_000_000)
    monkeypatch.delenv("CMET_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/home/ann/.cache")
    assert ObjectCache.of_machine().folder == Path("/home/ann/.cache/cmet/objects")
