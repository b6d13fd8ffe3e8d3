"""Videos that show patches of known colours, in any matrix, range and depth; and what a player shows of a video."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import Interpolation

WEIGHTS = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}
"""Shares of red and blue in the brightness, by the number of the matrix in H.273."""

PATCHES = np.array(
    [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (128, 128, 128), (200, 150, 120), (30, 90, 200)]
)
"""In two rows."""

Tags = tuple[int, int, int]
"""Matrix, primaries and transfer of H.273."""

NO_TAGS = (2, 2, 2)


def encode_patches(
    path: Path,
    codec: str = "ffv1",
    pix_fmt: str = "yuv444p",
    matrix: int = 6,
    is_full: bool = False,
    tags: Tags = NO_TAGS,
    size: tuple[int, int] = (64, 64),
    patches: np.ndarray = PATCHES,
    pixel_shape: str | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Write three frames with these patches."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        if pixel_shape:
            stream.codec_context.sample_aspect_ratio = Fraction(*map(int, pixel_shape.split(":")))
        context = stream.codec_context
        context.thread_count = 1
        context.colorspace, context.color_primaries, context.color_trc = tags
        context.color_range = 2 if is_full else 1
        frame = av.VideoFrame(*size, pix_fmt)
        num_bits = frame.format.components[0].bits
        colours = np.array([in_yuv(rgb, matrix, is_full, num_bits) for rgb in patches])
        for channel, plane in enumerate(frame.planes):
            values = np.frombuffer(plane, np.uint8 if num_bits == 8 else np.uint16).reshape(plane.height, -1)
            grid = colours[:, channel].reshape(2, -1)
            fill = np.kron(grid, np.ones((plane.height // 2, plane.width // grid.shape[1])))
            values[:, : fill.shape[1]] = fill
        frame.color_range, frame.colorspace = context.color_range, tags[0]
        for number in range(3):
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def in_yuv(rgb: Sequence[int], matrix: int, is_full: bool, num_bits: int) -> list[int]:
    """Numbers of a colour, as the equations of H.273 have them."""
    red_share, blue_share = WEIGHTS[matrix]
    red, green, blue = (value / 255 for value in rgb)
    light = red_share * red + (1 - red_share - blue_share) * green + blue_share * blue
    u, v = (blue - light) / (2 * (1 - blue_share)), (red - light) / (2 * (1 - red_share))
    one, top = 2 ** (num_bits - 8), 2**num_bits - 1
    exact = (
        (light * top, 128 * one + u * top, 128 * one + v * top)
        if is_full
        else ((16 + 219 * light) * one, (128 + 224 * u) * one, (128 + 224 * v) * one)
    )
    return [min(top, round(value)) for value in exact]


def centres(picture: np.ndarray) -> np.ndarray:
    """The colours of the patches, shape (8, 3)."""
    height, width = picture.shape[:2]
    return picture[height // 4 :: height // 2, width // 8 :: width // 4].reshape(-1, 3).astype(int)


def shown(path: Path) -> tuple[np.ndarray, Tags, int]:
    """What a player shows of the second frame by its tags alone, with its tags and its range."""
    with av.open(str(path)) as container:
        _, frame, *_ = container.decode(video=0)
    exact = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
    picture = frame.to_ndarray(format="rgb24", interpolation=exact)
    return picture, (frame.colorspace, frame.color_primaries, frame.color_trc), frame.color_range
