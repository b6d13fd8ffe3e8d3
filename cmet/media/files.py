"""How media are opened: as files, whatever their names look like.

FFmpeg takes the start of a name for a protocol (`12:30.mp4`, `http:x.mp4`) unless it is a whole path, and some files
are nothing but lists of other files and addresses. So all media are opened here, those in packs (`cmet.packs`) as well.
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import av

from cmet.inputs.files import predicate
from cmet.packs import has_file, is_packed, plain_file

LISTS = frozenset({
    "concat", "dash", "hls", "image2", "imf", "lavfi", "mlv", "rtp", "rtsp", "sap", "sdp", "vobsub",
    "webm_dash_manifest",
})  # fmt: skip
"""Formats of FFmpeg that lead to other files or to addresses."""

NO_OPTIONS: Mapping[str, str] = {}
_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": ",".join(sorted(av.formats_available - LISTS))}


def open_media(path: Path, options: Mapping[str, str] = NO_OPTIONS) -> av.container.InputContainer:
    """Open a file with FFmpeg and these options of it; nothing but this file is read.

    Raises:
        av.FFmpegError: It cannot be, or is a list of other files or addresses (a playlist).
    """
    try:
        with plain_file(path) as file:
            return av.open(_whole(file), metadata_errors="ignore", options={**_OPTIONS, **options})
    except av.ArgumentError as error:
        raise av.ArgumentError(error.errno or 0, "it holds neither video nor sound of its own", str(path)) from error


def create_media(path: Path, **options: str) -> av.container.OutputContainer:
    """Open an mp4 to write, with these options of FFmpeg."""
    return av.open(_whole(path), "w", format="mp4", options=options)


@contextmanager
def plain_name(path: Path) -> Iterator[str]:
    """A name to open a file by, for libraries that take UTF-8 only: OpenCV dies of others."""
    with plain_file(path) as file:
        name = _whole(file)
        try:
            name.encode()
        except UnicodeEncodeError:
            with tempfile.TemporaryDirectory(prefix="cmet-") as folder:
                link = Path(folder, f"link{ascii(path.suffix)[1:-1]}")
                link.symlink_to(name)
                yield str(link)
        else:
            yield name


def missing(path: Path) -> str | None:
    """As `predicate`, of a file that may be in a pack.

    Raises:
        BadFile: The pack is damaged.
    """
    if is_packed(path):
        return None if has_file(path) else "does not exist"
    return predicate(path)


def _whole(path: Path) -> str:
    return str(path.absolute())
