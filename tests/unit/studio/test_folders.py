import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from cmet.errors import UserError
from cmet.studio.folders import LOCK, MAX_AGE_S, clear_left, private_folder, remove_old, studio_home


def test_the_folder_is_private_and_gone_afterwards(tmp_path: Path) -> None:
    with private_folder(tmp_path / "home") as folder:
        (folder / "face.mp4").touch()
        assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    assert not folder.exists()


def test_it_is_gone_after_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), private_folder(tmp_path) as folder:
        (folder / "deep").mkdir()
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir() if path.name != LOCK] == []


WAITING = """
import sys
from pathlib import Path
from typing import Any
from threading import Event

from cmet import cli
from cmet.studio.folders import private_folder

def app():
    with private_folder(Path(sys.argv[1])) as folder:
        (folder / "face.mp4").touch()
        print("ready", flush=True)
        Event().wait()

cli.app = app
cli.main()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_it_is_gone_after_the_command_is_stopped_or_its_terminal_closed(tmp_path: Path, number: int) -> None:
    command = [sys.executable, "-c", WAITING, tmp_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        os.kill(process.pid, number)
        assert process.wait(60) == 143
    assert [path.name for path in tmp_path.iterdir()] == [LOCK]


def test_what_a_crash_has_left_is_removed_at_the_next_start_and_an_open_page_is_not(tmp_path: Path) -> None:
    left, used = tmp_path / ("0a" * 16), tmp_path / ("1b" * 16)
    for folder in (left, used):
        folder.mkdir()
        (folder / LOCK).touch()
        (folder / "face.mp4").touch()
    with FileLock(used / LOCK):
        clear_left(tmp_path)
    assert list(tmp_path.iterdir()) == [used]
    assert (used / "face.mp4").exists()


def test_files_are_removed_after_a_day(tmp_path: Path) -> None:
    folder = tmp_path / "session"
    folder.mkdir()
    (folder / "face.mp4").touch()
    (tmp_path / LOCK).touch()
    now_s = (folder / "face.mp4").stat().st_ctime
    remove_old(tmp_path, now_s + MAX_AGE_S / 2)
    assert (folder / "face.mp4").exists()
    remove_old(tmp_path, now_s + MAX_AGE_S + 60)
    assert not (folder / "face.mp4").exists()
    assert (tmp_path / LOCK).exists()


def test_a_link_is_removed_and_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter").touch()
    (tmp_path / "studio").mkdir()
    (tmp_path / "studio/link").symlink_to(tmp_path / "mine")
    remove_old(tmp_path / "studio", (tmp_path / "studio").stat().st_ctime + MAX_AGE_S + 60)
    assert (tmp_path / "mine/letter").exists()
    assert not (tmp_path / "studio/link").is_symlink()


def test_each_user_has_a_home_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert studio_home() == tmp_path / "cmet/studio"


def test_nothing_but_its_own_folders_is_removed(tmp_path: Path) -> None:
    home, mine = tmp_path / "home", tmp_path / "mine"
    for folder in (home / "letters", mine):
        folder.mkdir(parents=True)
        (folder / "letter").touch()
    (home / "note.txt").touch()
    (home / ("0a" * 16)).symlink_to(mine)
    clear_left(home)
    assert (home / "letters/letter").exists()
    assert (home / "note.txt").exists()
    assert [path.name for path in mine.iterdir()] == ["letter"]


def test_a_home_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "home").symlink_to(tmp_path / "mine")
    with pytest.raises(UserError, match="XDG_CACHE_HOME: .*home is a link"), private_folder(tmp_path / "home"):
        pass
    assert list((tmp_path / "mine").iterdir()) == []


def test_a_home_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(UserError, match="another user's"), private_folder(tmp_path):
        pass


def test_a_home_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    with pytest.raises(UserError, match="XDG_CACHE_HOME: no private folder"), private_folder(tmp_path / "cache/home"):
        pass


def test_a_session_that_ends_meanwhile_does_not_end_the_removing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ends/face.mp4", "stays/face.mp4"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    now_s = (tmp_path / "stays/face.mp4").stat().st_ctime
    scandir = os.scandir

    def ending(folder: Any) -> Any:
        if str(folder) == str(tmp_path / "ends"):
            shutil.rmtree(folder)
        return scandir(folder)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", ending)
        remove_old(tmp_path, now_s + MAX_AGE_S + 60)
    assert not (tmp_path / "stays/face.mp4").exists()
