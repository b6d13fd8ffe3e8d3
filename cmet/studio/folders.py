"""Where the page keeps what people give it and what is made of that: a private folder, and nothing for long."""

import os
import re
import secrets
import shutil
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from cmet.errors import UserError
from cmet.trees import all_below

PRIVATE = 0o700
LOCK = ".lock"
"""Held by the process whose folder it is; after a crash nobody holds it."""

NUM_NAME_BYTES = 16
OWN_NAME = re.compile(rf"[0-9a-f]{{{2 * NUM_NAME_BYTES}}}")
"""What the folder of a page is called; nothing else in the home is ours to remove."""

FILES = "files"
"""In the folder of a page: where it puts what is sent, beside the folders of its sessions."""

SENT_NAME = re.compile(r"[0-9a-f]{64}|tmp\w+")
"""Where Gradio puts what is sent: a folder named after the content, and before it is whole a file."""

MAX_AGE_S = 24 * 3600.0
MAX_UNCLAIMED_AGE_S = 3600.0
"""Of what was sent and is in no session: the page takes what it is given at once, or somebody else has sent it."""

LOOK_EVERY_S = 60.0


def studio_home() -> Path:
    """The folder of this user in which each running page has one of its own."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cmet" / "studio"


@contextmanager
def private_folder(home: Path) -> Iterator[Path]:
    """A new folder that only this user can look into, for the time of a block; what crashes have left is removed first.

    While it is there, what was not changed for a day is removed from it.

    Args:
        home: Where it is made.

    Raises:
        UserError: It cannot be made there, or others could reach it.
    """
    try:
        home.mkdir(parents=True, exist_ok=True, mode=PRIVATE)
        refuse_foreign(home)
        home.chmod(PRIVATE)
        # another page that starts now must not take the new folder for one that a crash has left
        with FileLock(home / LOCK, fallback_to_soft=False):
            clear_left(home)
            folder = home / secrets.token_hex(NUM_NAME_BYTES)
            folder.mkdir(mode=PRIVATE)
            lock, is_over = FileLock(folder / LOCK, fallback_to_soft=False), threading.Event()
            lock.acquire()
    except OSError as error:
        raise UserError(
            f"XDG_CACHE_HOME: no private folder can be made at {home} ({error.strerror or error}); name another one"
        ) from error
    sweeper = threading.Thread(target=_sweep, args=(folder, is_over), daemon=True)
    sweeper.start()
    try:
        yield folder
    finally:
        is_over.set()
        shutil.rmtree(folder, ignore_errors=True)
        lock.release(force=True)


def refuse_foreign(home: Path) -> None:
    """Make sure that a folder is this user's own, and lies where it seems to.

    Raises:
        UserError: It is a link, or somebody else's: who made it could read what is put there, or have us empty a folder
            of their choice.
    """
    is_own = not hasattr(os, "getuid") or {home.lstat().st_uid, home.parent.stat().st_uid} == {os.getuid()}
    if home.is_symlink() or not is_own:
        raise UserError(
            f"XDG_CACHE_HOME: {home} is a link or another user's, so not private; remove it, or name another folder"
        )


def clear_left(home: Path) -> None:
    """Remove folders whose process has ended without doing so."""
    for folder in home.iterdir():
        if not OWN_NAME.fullmatch(folder.name) or folder.is_symlink() or not folder.is_dir():
            continue
        with suppress(Timeout), FileLock(folder / LOCK, timeout=0, fallback_to_soft=False):  # else its page is open
            shutil.rmtree(folder, ignore_errors=True)


def remove_old(folder: Path, now_s: float) -> None:
    """Remove files that nobody has written to or linked for a day, and the folders that are empty then."""
    for path, found in all_below(folder):
        if path.name == LOCK:
            continue
        # a session that ends meanwhile removes its own
        with suppress(FileNotFoundError):
            if stat.S_ISDIR(found.st_mode):
                if now_s - found.st_mtime > MAX_AGE_S and not any(path.iterdir()):
                    path.rmdir()
            elif now_s - found.st_ctime > MAX_AGE_S:
                path.unlink(missing_ok=True)


def remove_unclaimed(files: Path, now_s: float) -> None:
    """Remove what was sent an hour ago and taken into no session."""
    for sent in files.glob("*"):
        if not SENT_NAME.fullmatch(sent.name) or sent.is_symlink():
            continue
        # a session that ends meanwhile removes its own
        with suppress(FileNotFoundError):
            inside = [path.lstat() for path in (sent.iterdir() if sent.is_dir() else (sent,))]
            # a session links what it takes
            if any(found.st_nlink > 1 or now_s - found.st_ctime < MAX_UNCLAIMED_AGE_S for found in inside):
                continue
            if sent.is_dir():
                shutil.rmtree(sent, ignore_errors=True)
            else:
                sent.unlink()


def bytes_kept_in(folder: Path) -> int:
    """Bytes of all files in a folder; what lies there under two names counts once."""
    return sum(
        {found.st_ino: found.st_size for _, found in all_below(folder) if not stat.S_ISDIR(found.st_mode)}.values()
    )


def _sweep(folder: Path, is_over: threading.Event) -> None:
    while not is_over.wait(LOOK_EVERY_S):
        remove_old(folder, time.time())
        remove_unclaimed(folder / FILES, time.time())
