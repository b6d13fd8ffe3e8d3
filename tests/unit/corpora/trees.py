"""Corpus trees of empty and of damaged files, as they arrive."""

import io
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

MEDIUM = b"\0\0\0\x18ftypisom" + bytes(64)
"""Begins as an mp4 does; enough for whoever looks only at the beginning."""

HTML = b"<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head></html>"


def touch(root: Path, *names: str) -> Path:
    """Empty files."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def fill(root: Path, names: Iterable[str], content: bytes = MEDIUM) -> Path:
    """Files of one content."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def pointer(sha256: str, num_bytes: int) -> bytes:
    """A git-lfs pointer."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {num_bytes}\n".encode()


def write_tar(path: Path, names: Iterable[str], content: bytes = MEDIUM) -> Path:
    """A tar of files of one content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as file:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return path


def write_zip(path: Path, names: Iterable[str], content: bytes = MEDIUM) -> Path:
    """A zip of files of one content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, content)
    return path
