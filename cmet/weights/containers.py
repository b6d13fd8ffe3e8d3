"""What kind of file this is, from its bytes, and the tensors in it, without running anything the file says."""

import pickle
import re
import struct
import tarfile
import textwrap
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cmet.inputs.files import oddity
from cmet.inputs.tars import open_tar

if TYPE_CHECKING:
    from torch import Tensor

FileKind = Literal[
    "torch zip",
    "legacy torch pickle",
    "safetensors",
    "TorchScript",
    "zip",
    "tar",
    "gzip",
    "pickle",
    "ONNX",
    "numpy array",
    "HDF5",
    "HTML page",
    "git-lfs pointer",
    "empty file",
    "unknown",
]
READABLE = frozenset[FileKind]({"torch zip", "legacy torch pickle", "safetensors"})

_MAGIC: tuple[tuple[bytes, FileKind], ...] = (
    # a pickle of the number with which torch.save began until 1.6
    (rb"\x80.\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19\.", "legacy torch pickle"),
    (rb"PK\x03\x04", "zip"),
    (rb".{257}ustar", "tar"),
    (rb"\x1f\x8b", "gzip"),
    (rb"\x93NUMPY", "numpy array"),
    (rb"\x89HDF\r\n", "HDF5"),
    (rb"version https://git-lfs\.github\.com/spec/", "git-lfs pointer"),
    (rb"(\xef\xbb\xbf)?\s*<(!doctype html|html|head|\?xml)", "HTML page"),
    # the length of a JSON header, which is below a few MB
    (rb".{5}\x00{3}\{", "safetensors"),
    # protobuf: the version of the format, then the producer, the opsets or the graph
    (rb"\x08[\x01-\x1f][\x12\x1a\x22\x3a\x42]", "ONNX"),
    (rb"\x80[\x02-\x05]", "pickle"),
)
_HEAD_BYTES = 1024

_WRAPPERS = ("module.", "_orig_mod.", "model.")
"""Prefixes of keys: of a network on several devices, a compiled one, and one inside of a trainer."""

_NOT_WEIGHTS: dict[FileKind, str] = {
    "TorchScript": "a TorchScript program; cmet reads weights and runs no programs",
    "zip": "a zip archive that torch.save did not write; if weights are in it, unpack them",
    "gzip": "compressed with gzip; unpack it",
    "pickle": "a pickle that torch.save did not write; reading it could run code, so cmet does not",
    "ONNX": "an ONNX graph; cmet reads files of torch.save and safetensors",
    "numpy array": "a numpy array, not named weights",
    "HDF5": "an HDF5 file; cmet reads files of torch.save and safetensors",
    "HTML page": "a web page, not the file: the download gave a login, quota or error page; download it again",
    "empty file": "empty; download it again",
    "unknown": "of an unknown kind; cmet reads files of torch.save and safetensors",
}


class UnreadableWeights(Exception):
    """The file holds no weights that can be read; the message continues "this file"."""


def kind_of(path: Path) -> FileKind:
    """Kind of a file by its first bytes; zip files by what is in them.

    Raises:
        UnreadableWeights: It is there, but no file.
    """
    if path.exists() and not path.is_file():
        raise UnreadableWeights(str(oddity(path)))
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    if not head:
        return "empty file"
    for magic, kind in _MAGIC:
        if re.match(magic, head, re.DOTALL | re.IGNORECASE):
            return _kind_of_zip(path, head) if kind == "zip" else kind
    return "unknown"


def _kind_of_zip(path: Path, head: bytes) -> FileKind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.partition("/")[2] for name in archive.namelist()}
    except zipfile.BadZipFile:
        # the list of contents is at the end, which a file cut short has not
        return "torch zip" if b"/data.pkl" in head else "zip"
    if "data.pkl" not in names:
        return "zip"
    return "TorchScript" if "constants.pkl" in names or any(name.startswith("code/") for name in names) else "torch zip"


def state_dicts(path: Path, kind: FileKind) -> dict[str, "dict[str, Tensor]"]:
    """Tensors by key, for every place in the file that has some; the top level is the place "".

    Raises:
        UnreadableWeights: The file is none, is damaged or can only be read by running code.
    """
    places = dict(_places(load_content(path, kind)))
    if not places:
        raise UnreadableWeights("holds no named tensors")
    return places


def whole_numbers(path: Path) -> dict[str, int]:
    """Whole numbers that a readable file holds beside its tensors, such as the training step, by name.

    Raises:
        UnreadableWeights: The file is damaged or can only be read by running code.
    """
    content = load_content(path, kind_of(path))
    entries = content.items() if isinstance(content, Mapping) else ()
    return {name: value for name, value in entries if isinstance(name, str) and type(value) is int}


def optimizer_state(path: Path) -> dict[Any, Any] | None:
    """What an optimizer knew of each parameter, by number, in a training checkpoint; None where there is nothing.

    Raises:
        UnreadableWeights: The file is damaged or can only be read by running code.
    """
    content = load_content(path, kind_of(path))
    found = content.get("optimizer") if isinstance(content, Mapping) else None
    state = found.get("state") if isinstance(found, Mapping) else None
    return dict(state) if isinstance(state, Mapping) else None


def not_finite(tensors: "Mapping[str, Tensor]") -> list[str]:
    """Keys of tensors that hold NaN or infinity, or what float32 cannot hold."""
    return [key for key, tensor in tensors.items() if not _is_finite(tensor.float())]


def _is_finite(tensor: "Tensor") -> bool:
    # nothing that is not finite has a finite sum, which takes a ninth of the time; of large values it may overflow
    return bool(tensor.sum().isfinite()) or bool(tensor.isfinite().all())


def load_content(path: Path, kind: FileKind) -> Any:
    """All that a file holds: tensors, plain values and containers of them.

    Raises:
        UnreadableWeights: The file is no weights, is damaged or can only be read by running code.
    """
    if kind not in READABLE:
        raise UnreadableWeights(_why_not(path, kind))
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if kind == "safetensors":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise UnreadableWeights(f"is damaged or cut short, download it again ({error})") from error
    try:
        # only the zip form can be mapped; the older one is read whole
        with torch.serialization.safe_globals(_NUMPY_SCALARS):
            return torch.load(path, weights_only=True, mmap=kind == "torch zip", map_location="cpu")
    except pickle.UnpicklingError as error:
        name = re.search(r"GLOBAL (\S+)", str(error))
        if name:
            raise UnreadableWeights(
                f"is refused: it asks for {name[1]}, which is not weights, and loading it could run code; get the file "
                "from its publisher, or have somebody who trusts it save the bare state dict again"
            ) from error
        raise UnreadableWeights(f"is damaged: {_first_sentence(error)}") from error
    except Exception as error:  # a damaged pickle or archive raises whatever its broken bytes lead to
        raise UnreadableWeights(f"is damaged or cut short, download it again ({_first_sentence(error)})") from error


class _ScalarType:
    """Stands in for `numpy.dtype`, whose own way out of a pickle takes sizes and flags on trust."""

    def __init__(self, code: str, *_flags: bool) -> None:
        self.code, self.order = code, "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = ">" if state[1] == ">" else "<"


def _scalar(kind: _ScalarType, content: bytes) -> int | float | bool | None:
    """Stands in for the function with which numpy makes a scalar; None for one that is no plain number."""
    code = _STRUCT_CODES.get(kind.code)
    return struct.unpack(kind.order + code, content)[0] if code else None


_STRUCT_CODES = {
    "b1": "?", "f2": "e", "f4": "f", "f8": "d", "i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H",
    "u4": "I", "u8": "Q",
}  # fmt: skip
_NUMPY_SCALARS: list[Any] = [
    (_ScalarType, "numpy.dtype"),
    # before numpy 2 and since
    (_scalar, "numpy.core.multiarray.scalar"),
    (_scalar, "numpy._core.multiarray.scalar"),
]
"""What a number that numpy computed, such as a loss, asks for where it was saved beside the weights."""


def _first_sentence(error: Exception) -> str:
    said = re.split(r"\.\s|\n", str(error))[0].removesuffix(".")
    return (
        f"{type(error).__name__}: {textwrap.shorten(said, 160, placeholder=' ...')}" if said else type(error).__name__
    )


def _places(value: Any, place: str = "", depth: int = 2) -> "list[tuple[str, dict[str, Tensor]]]":
    """Dicts of tensors, from the top down."""
    import torch

    if not isinstance(value, Mapping):
        return []
    named = {key: item for key, item in value.items() if isinstance(key, str)}
    tensors = {key: item for key, item in named.items() if isinstance(item, torch.Tensor) and not item.is_sparse}
    found = [(place, _unwrapped(tensors))] if tensors else []
    for key, item in named.items():
        if depth:
            found += _places(item, f"{place}.{key}" if place else key, depth - 1)
    return found


def _unwrapped(tensors: "dict[str, Tensor]") -> "dict[str, Tensor]":
    """Keys without the prefixes that all of them have because of what the network was in when it was saved."""
    for prefix in _WRAPPERS:
        if all(key.startswith(prefix) for key in tensors):
            return _unwrapped({key.removeprefix(prefix): tensor for key, tensor in tensors.items()})
    return tensors


def _why_not(path: Path, kind: FileKind) -> str:
    if kind == "git-lfs pointer":
        with path.open("rb") as stream:
            promised = re.search(r"oid sha256:(\w+)\s+size (\d+)", stream.read(_HEAD_BYTES).decode(errors="replace"))
        what = f" of {int(promised[2]):,} bytes, sha256 {promised[1]}" if promised else ""
        return f"is a git-lfs pointer to a file{what}; run `git lfs pull` where it came from"
    if kind == "tar":
        try:
            with open_tar(path) as archive:
                names = archive.getnames()
        except tarfile.ReadError as error:
            return f"is a tar archive, cut short or damaged ({error})"
        more = f" and {len(names) - 6} more" if len(names) > 6 else ""
        return f"is a tar archive of {', '.join(names[:6])}{more}; unpack it"
    return f"is {_NOT_WEIGHTS[kind]}"
