"""What a logged model asks of its environment: pinned versions, and a wheel of cmet, which no index has."""

import base64
import hashlib
import zipfile
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, requires, version
from io import BytesIO
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from cmet.closure import PACKAGE
from cmet.errors import UserError

OWN = "cmet"

TAG = "Wheel-Version: 1.0\nGenerator: cmet\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
"""What a wheel says of itself."""

LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""Time of all files in a wheel, so that the same code gives the same bytes."""


@cache
def pinned_requirements() -> tuple[str, ...]:
    """What cmet asks for, directly or through others, at the versions that are installed here.

    What only some machines need (behind a marker, such as CUDA's libraries) is left to those who ask for it. What an
    index does not tell apart is left out of a version: `2.11.0+cpu` becomes `2.11.0`.
    """
    found: dict[str, str] = {}
    waiting = [OWN]
    while waiting:
        for text in requires(waiting.pop()) or ():
            wanted = Requirement(text)
            name = canonicalize_name(wanted.name)
            if wanted.marker is None and name not in found and _is_installed(name):
                found[name] = f"{name}=={Version(version(name)).public}"
                waiting.append(name)
    return tuple(sorted(found.values()))


def write_wheel(folder: Path) -> Path:
    """The wheel that a clean environment needs besides: cmet as it runs here.

    Its version ends in a digest of the code, so that no environment takes other code for it.

    Raises:
        UserError: cmet is not installed.
    """
    name, content = _own_wheel()
    path = folder / name
    path.write_bytes(content)
    return path


@cache
def _own_wheel() -> tuple[str, bytes]:
    """Name and content; the code of a process stays the same."""
    try:
        own = distribution(OWN)
    except PackageNotFoundError as error:
        raise UserError(
            "cmet is not installed here, so no wheel of it can be logged; `pip install -e .` in its checkout "
            "installs it"
        ) from error
    code = {
        path.relative_to(PACKAGE.parent).as_posix(): path.read_bytes()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    digest = hashlib.sha256()
    for name in sorted(code):
        digest.update(name.encode() + b"\0" + hashlib.sha256(code[name]).digest())
    named = f"{own.version}+{digest.hexdigest()[:12]}"
    info = f"{OWN}-{named}.dist-info"
    # an installed distribution has the first, a checkout that was built in place the second
    metadata = own.read_text("METADATA") or own.read_text("PKG-INFO") or ""
    beside = {"METADATA": metadata.replace(f"\nVersion: {own.version}\n", f"\nVersion: {named}\n", 1), "WHEEL": TAG}
    for name in ("entry_points.txt", *(f"licenses/{file}" for file in own.metadata.get_all("License-File", []))):
        if text := own.read_text(name):
            beside[name] = text
    files = code | {f"{info}/{name}": text.encode() for name, text in beside.items()}
    return f"{OWN}-{named}-py3-none-any.whl", _packed_files(f"{info}/RECORD", files)


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def _packed_files(record: str, files: Mapping[str, bytes]) -> bytes:
    """Files as a wheel.

    Args:
        record: Name in it of the list of its files.
        files: Content by name.
    """
    lines = []
    for file, content in sorted(files.items()):
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{file},sha256={digest},{len(content)}\n")
    lines.append(f"{record},,\n")
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for file, content in [*sorted(files.items()), (record, "".join(lines).encode())]:
            entry = zipfile.ZipInfo(file, LONG_AGO)
            entry.external_attr = 0o644 << 16
            # most of it are weights, which the highest level makes a few per cent smaller in twice the time
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED, compresslevel=1)
    return packed.getvalue()
