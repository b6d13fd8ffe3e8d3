"""Files of people whom nobody knows: their size, kind and length, before anything of them is decoded."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av

from cmet.errors import UserError
from cmet.inputs.files import oddity
from cmet.media.container import MAX_PIXELS, MAX_SIDE_PX
from cmet.media.files import open_media
from cmet.media.kinds import NUM_SIGNATURE_BYTES, begins_like_medium
from cmet.media.packets import moving_tracks
from cmet.outputs import as_utf8

MAX_PACKETS_PER_S = 1000
"""Of all tracks together; nothing that people record has more."""

SLACK_S = 0.5
"""Encoders of sound add a little at both ends."""


@dataclass(frozen=True)
class UploadLimits:
    """What is taken."""

    size_bytes: int = 2 << 30
    duration_s: float = 600.0
    num_files: int = 50
    """That are given together, such as the recordings of a voice."""


def check_number(paths: Sequence[Path], what: str, limits: UploadLimits | None = None) -> None:
    """Make sure that no more files are given together than are taken.

    Args:
        paths: The files; none is opened.
        what: What they are, such as `calm recordings`.
        limits: What is taken.

    Raises:
        UserError: There are more.
    """
    limits = limits or UploadLimits()
    if len(paths) > limits.num_files:
        raise UserError(f"{len(paths)} {what} are given; at most {limits.num_files} are taken")


def check_upload(path: Path, kind: Literal["video", "sound"], limits: UploadLimits | None = None) -> None:
    """Make sure that a file is what it should be, and no larger or longer than is taken.

    Its content counts, and neither its name nor what its header says of its length: packets are counted. A video may be
    given where a sound is wanted.

    Args:
        path: The file.
        kind: What it should be.
        limits: What is taken.

    Raises:
        UserError: It is something else, too large or too long; the message has the name of the file without its folder.
    """
    limits = limits or UploadLimits()
    name = as_utf8(path.name)
    odd = oddity(path)
    if odd is not None:
        raise UserError(f"{name} {odd}")
    size_bytes = path.stat().st_size
    if size_bytes > limits.size_bytes:
        raise UserError(f"{name} has {_mib(size_bytes)}; at most {_mib(limits.size_bytes)} are taken")
    with path.open("rb") as stream:
        head = stream.read(NUM_SIGNATURE_BYTES)
    wanted = "a video" if kind == "video" else "a sound"
    if not begins_like_medium(head):
        raise UserError(f"{name} is no {kind}, whatever its name; give {wanted}")
    try:
        with open_media(path, {"max_pixels": str(MAX_PIXELS)}) as container:
            _check_tracks(container, name, kind)
            _check_length(container, name, limits.duration_s)
    except av.FFmpegError as error:
        raise UserError(f"{name} cannot be read as {wanted} ({error.strerror})") from error


def _check_tracks(container: av.container.InputContainer, name: str, kind: str) -> None:
    tracks = moving_tracks(container) if kind == "video" else container.streams.audio
    # a track of an unknown format has no codec
    codecs = [track.codec_context for track in tracks if track.codec_context is not None]
    if not codecs:
        raise UserError(f"{name} holds no {'picture' if kind == 'video' else 'sound'} that can be read")
    for codec in codecs:
        width, height = getattr(codec, "width", 0), getattr(codec, "height", 0)
        if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE_PX:
            raise UserError(
                f"{name} has frames of {width}x{height}; at most {MAX_PIXELS // 1_000_000} megapixels are taken"
            )


def _check_length(container: av.container.InputContainer, name: str, limit_s: float) -> None:
    """Go through the packets, up to the limit."""
    said = f"{name} lasts longer than {limit_s / 60:g} minutes; cut it"
    begun_s: float | None = None
    for number, packet in enumerate(container.demux()):
        if number > limit_s * MAX_PACKETS_PER_S:
            raise UserError(said)
        if packet.pts is None or packet.time_base is None:
            continue
        start_s = float(packet.pts * packet.time_base)
        begun_s = start_s if begun_s is None else min(begun_s, start_s)
        if start_s + float((packet.duration or 0) * packet.time_base) - begun_s > limit_s + SLACK_S:
            raise UserError(said)


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / (1 << 20):,.0f} MiB"
