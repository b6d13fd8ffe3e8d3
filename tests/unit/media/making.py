"""Video files as they arrive, made with PyAV: other containers, rotation flags, edit lists, uneven rates, cuts."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

MILLISECOND = Fraction(1, 1000)


def remux(source: Path, target: Path, from_s: float = 0.0, with_sound: bool = True) -> Path:
    """Copy the packets into another container; `from_s` leaves an edit list that hides what comes before."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        streams = {
            stream.index: new.add_stream_from_template(stream)
            for stream in old.streams
            if stream.type == "video" or with_sound
        }
        for packet in old.demux(*[old.streams[index] for index in streams]):
            if packet.dts is not None:
                shift = int(from_s / packet.time_base)
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = streams[packet.stream_index]
                new.mux(packet)
    return target


def encode(
    target: Path,
    frames: Sequence[np.ndarray],
    times_ms: Sequence[int],
    rotation: int = 0,
    gop: int = 250,
    pixel_shape: Fraction | None = None,
    tags: tuple[int, int, int] = (2, 2, 2),
) -> Path:
    """Write frames that each appear at their own time, H.264, no sound."""
    with av.open(str(target), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "4", "g": str(gop), "bf": "0"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = stream.time_base = MILLISECOND
        if rotation:
            stream.set_display_rotation(rotation)
        if pixel_shape:
            stream.codec_context.sample_aspect_ratio = pixel_shape
        context = stream.codec_context
        context.colorspace, context.color_primaries, context.color_trc = tags
        for frame, time_ms in zip(frames, times_ms, strict=True):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture.pts, picture.time_base = time_ms, MILLISECOND
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return target


def with_matrix(path: Path, right: tuple[int, int], down: tuple[int, int]) -> Path:
    """Put a display matrix into the header of the picture of an mp4: where a step leads, as it is shown."""
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 44
    one = 1 << 16
    content[start : start + 36] = struct.pack(
        ">9i", right[0] * one, right[1] * one, 0, down[0] * one, down[1] * one, 0, 0, 0, 1 << 30
    )
    path.write_bytes(content)
    return path


def cut(source: Path, target: Path, share: float) -> Path:
    """The first part of a file, as an interrupted download leaves it."""
    content = source.read_bytes()
    target.write_bytes(content[: int(len(content) * share)])
    return target


BITS, BIT_PX = 7, 16


def numbered(number: int) -> np.ndarray:
    """A picture, 64x112, that shows its number in light and dark fields, above a square that moves."""
    picture = np.zeros((64, BITS * BIT_PX, 3), np.uint8)
    for bit in range(BITS):
        picture[:24, bit * BIT_PX : (bit + 1) * BIT_PX] = 230 if number >> bit & 1 else 20
    left = number * 3 % (picture.shape[1] - 16)
    picture[32:56, left : left + 16] = (200, 90, 40)
    return picture


def number_in(picture: np.ndarray) -> int:
    """The number that a picture shows."""
    fields = picture[8:16, BIT_PX // 2 :: BIT_PX].mean(axis=(0, 2))
    return sum(int(field > 125) << bit for bit, field in enumerate(fields))


def encode_numbered(
    target: Path,
    codec: str,
    options: str = "",
    num_frames: int = 50,
    container_options: str = "",
    pix_fmt: str = "yuv420p",
) -> Path:
    """Write numbered frames at 25 frames/s, no sound; options as `name=value name=value`."""
    with av.open(str(target), "w", options=_pairs(container_options)) as container:
        stream = container.add_stream(codec, rate=25, options=_pairs(options))
        stream.height, stream.width = numbered(0).shape[:2]
        stream.pix_fmt = pix_fmt
        stream.codec_context.thread_count = 1
        for number in range(num_frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(number), format="rgb24")))
        container.mux(stream.encode(None))
    return target


def _pairs(options: str) -> dict[str, str]:
    return dict(option.split("=", 1) for option in options.split())
