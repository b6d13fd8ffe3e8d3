"""Arrays are read as numbers, or refused in a sentence."""

from pathlib import Path

import numpy as np
import pytest

from cmet.inputs.arrays import parse_array, read_array
from cmet.inputs.files import BadFile
from tests.hostile import npy

THREE = npy(np.zeros(3))


@pytest.mark.parametrize(
    "values",
    [
        np.arange(6.0, dtype=np.float32).reshape(2, 3),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.array(2.5),
        np.zeros((0, 3)),
        np.arange(3, dtype=">i2"),
        np.array([True]),
    ],
)
def test_numbers_come_back_as_they_were(tmp_path: Path, values: np.ndarray) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(npy(values))
    for found in (read_array(path), parse_array(path.read_bytes(), "a")):
        assert found.dtype == values.dtype
        assert np.array_equal(found, values)
        assert found.flags.writeable


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (npy(np.array([{}], object)), "an array of Python objects, expected one of numbers"),
        (npy(np.array(["a"])), "an array of <U1, expected one of numbers"),
        (npy(np.zeros(1, [("a", "f4")])), "expected one of numbers"),
        (b"PK\3\4", "not a numpy array"),
        (THREE[:20], "not a numpy array"),
        (THREE.replace(b"{", b"["), "not a numpy array"),
        (THREE.replace(b"'<f8'", b"'<xx'"), "not a numpy array"),
        (b"\x93NUMPY\1\0\xff\xff" + b"(" * 65535, "not a numpy array"),
        (THREE[:-1], "promises 24 bytes of numbers, it holds 23"),
        (THREE.replace(b"(3,), }  ", b"(9**9,) }"), "not a numpy array"),
        (THREE.replace(b"(3,), }            ", b"(3000000000000,), }"), "promises 24,000,000,000,000 bytes"),
        (THREE.replace(b"(3,), }  ", b"(-3, -1)}"), "damaged"),
    ],
)
def test_anything_else_is_refused(content: bytes, problem: str) -> None:
    with pytest.raises(BadFile, match=f"sound.npy: .*{problem}"):
        parse_array(content, "sound.npy")


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="a folder, not a file"):
        read_array(tmp_path)
