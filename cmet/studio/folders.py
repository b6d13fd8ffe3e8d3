"""Where the page keeps what people give it and what is made of that: a private folder, and nothing for long."""

import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

PRIVATE = 0o700
LOCK = ".lock"
"""Held by the process whose folder it is; after a crash nobody holds it."""

MAX_AGE_S = 24 * 3600.0
LOOK_EVERY_S = 600.0


def studio_home() -> Path:
    """The folder of this user in which each running page has one of its own."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cmet" / "studio"


@contextmanager
def private_folder(home: Path) -> Iterator[Path]:
    """A new folder that only this user can look into, for the time of a block; what crashes have left is removed first.

    While it is there, what was not changed for a day is removed from it.

    Args:
        home: Where it is made.
    """
    home.mkdir(parents=True, exist_ok=True, mode=PRIVATE)
    home.chmod(PRIVATE)
    clear_left(home)
    folder = home / secrets.token_hex(16)
    folder.mkdir(mode=PRIVATE)
    lock, is_over = FileLock(folder / LOCK, fallback_to_soft=False), threading.Event()
    lock.acquire()
    sweeper = threading.Thread(target=_sweep, args=(folder, is_over), daemon=True)
    sweeper.start()
    try:
        yield folder
    finally:
        is_over.set()
        shutil.rmtree(folder, ignore_errors=True)
        lock.release(force=True)


def clear_left(home: Path) -> None:
    """Remove folders whose process has ended without doing so."""
    for folder in home.iterdir():
        try:
            with FileLock(folder / LOCK, timeout=0, fallback_to_soft=False):
                shutil.rmtree(folder, ignore_errors=True)
        except Timeout:
            continue  # another page is open
        except NotADirectoryError:
            folder.unlink(missing_ok=True)


def remove_old(folder: Path, now_s: float) -> None:
    """Remove files that nobody has written to or linked for a day, and the folders that are empty then."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.name == LOCK:
            continue
        if path.is_dir() and not path.is_symlink():
            if now_s - path.stat().st_mtime > MAX_AGE_S and not any(path.iterdir()):
                path.rmdir()
        elif now_s - path.lstat().st_ctime > MAX_AGE_S:
            path.unlink(missing_ok=True)


def _sweep(folder: Path, is_over: threading.Event) -> None:
    while not is_over.wait(LOOK_EVERY_S):
        remove_old(folder, time.time())
