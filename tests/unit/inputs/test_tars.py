"""Headers of tars are not taken at their word."""

import tarfile
from pathlib import Path

import pytest

from cmet.inputs.tars import open_tar

HUGE = [2**40, 2**60, 2**63 - 1, 2**70]


def header(size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """The header of a member that says to have so many bytes."""
    member = tarfile.TarInfo("k.json")
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


def extended(key: str, value: str) -> bytes:
    """An extended header with one entry."""
    body = f" {key}={value}\n"
    length = len(body) + len(str(len(body)))
    entry = f"{length}{body}".encode()
    return header(len(entry), tarfile.XHDTYPE) + entry.ljust(tarfile.BLOCKSIZE, b"\0")


@pytest.mark.parametrize(
    "content",
    [
        *(header(size, kind) for size in HUGE for kind in (tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME)),
        *(extended("size", str(size)) + header(0) for size in (*HUGE, -512)),
        *(header(size, kind) for size in (-512, -1024) for kind in (tarfile.REGTYPE, tarfile.XHDTYPE)),
        extended("GNU.sparse.map", "x") + header(0),
    ],
)
def test_a_size_that_no_file_has_is_damage(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(content + bytes(tarfile.BLOCKSIZE))
    with pytest.raises(tarfile.ReadError), open_tar(path) as tar:
        for member in tar:
            if stream := tar.extractfile(member):
                stream.read()
