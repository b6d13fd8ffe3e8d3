"""Colours of a video: what its tags say, or what players take for granted where there are none; its frames as RGB."""

from dataclasses import dataclass
from functools import cache

import av
import cv2
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation, VideoReformatter

from cmet.errors import ClipError

# numbers of ITU-T H.273, as files and FFmpeg have them
RGB, BT709, UNKNOWN, RESERVED, BT601, BT2020 = 0, 1, 2, 3, 6, 9

READ_AS = {
    BT709: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    BT601: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    BT2020: Colorspace.BT2020,
}
"""Matrices that FFmpeg's scaler knows."""

TO_BT709 = {
    ColorPrimaries.BT2020: ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187)),
    ColorPrimaries.SMPTE432: ((1.2249, -0.2247, 0.0), (-0.0420, 1.0419, 0.0), (-0.0197, -0.0786, 1.0979)),
}
"""Wide primaries (BT.2020, Display P3): their light as that of BT.709."""

WIDE = {ColorPrimaries.BT2020: "BT.2020", ColorPrimaries.SMPTE432: "Display P3"}

HIGH_RANGE = {ColorTrc.SMPTE2084: "PQ", ColorTrc.ARIB_STD_B67: "HLG"}

WHITE_NITS, HLG_PEAK_NITS, HLG_GAMMA = 203, 1000, 1.2
"""White of a page, and the display that HLG is made for (BT.2408, BT.2100)."""

SHOULDER = 0.7
"""Share of white from which on highlights are compressed."""

HLG_WEIGHTS = (0.2627, 0.6780, 0.0593)
"""Shares of red, green and blue in the brightness of BT.2020."""

NUM_CODES = 65536

BAND_PX = 64

GAMMA = 2.4
"""Of displays of standard range (BT.1886)."""


@dataclass(frozen=True)
class Colorimetry:
    """How the numbers of a picture become light; each a number of ITU-T H.273."""

    matrix: int
    primaries: int
    transfer: int
    is_tagged: bool
    """Whether the file names its matrix."""
    is_fine: bool
    """Whether it has more than 8 bits, or full range with subsampled colours: quick ways of reading, as decord's, are
    more than 2 levels off then."""

    @classmethod
    def of(cls, frame: av.VideoFrame) -> "Colorimetry":
        """What a frame says of itself; where it says nothing, what mpv, VLC and Chromium take it for.

        Raises:
            ClipError: `unreadable_video`, where its matrix is none of `READ_AS`.
        """
        layout = frame.format
        is_rgb = layout.is_rgb
        is_tagged = is_rgb or frame.colorspace not in (RGB, UNKNOWN, RESERVED)
        usual = BT709 if is_rgb else usual_matrix(frame.width, frame.height)
        matrix = RGB if is_rgb else frame.colorspace if is_tagged else usual
        if matrix not in {RGB, *READ_AS}:
            raise ClipError(
                "unreadable_video",
                f"its colours have matrix {matrix} of H.273, which is not read; convert it to BT.709",
            )
        usual = matrix if matrix in (BT709, BT2020) else usual
        return cls(
            matrix,
            frame.color_primaries if frame.color_primaries in _tags(ColorPrimaries) else usual,
            frame.color_trc if frame.color_trc in _tags(ColorTrc) else BT601 if usual == BT601 else BT709,
            is_tagged,
            max(component.bits for component in layout.components) > 8
            or (frame.color_range == ColorRange.JPEG and layout.chroma_width(frame.width) < frame.width),
        )

    @property
    def is_wide(self) -> bool:
        """Whether it has colours or highlights that ordinary screens do not show."""
        return self.primaries in TO_BT709 or self.transfer in HIGH_RANGE

    @property
    def is_plain(self) -> bool:
        """Whether it is read right by tags alone, with BT.601 where there are none."""
        return (self.is_tagged or self.matrix == BT601) and not self.is_wide and not self.is_fine

    @property
    def said(self) -> str:
        """Names of what is wide: "HLG, BT.2020"."""
        names = HIGH_RANGE.get(ColorTrc(self.transfer)), WIDE.get(ColorPrimaries(self.primaries))
        return ", ".join(name for name in names if name)

    @property
    def shown(self) -> tuple[int, int]:
        """Primaries and transfer of the RGB pictures that are handed out."""
        return (BT709, BT709) if self.is_wide else (self.primaries, self.transfer)

    def rgb(self, frame: av.VideoFrame, width: int, height: int, scaler: VideoReformatter) -> np.ndarray:
        """A frame at this size, shape (height, width, 3), uint8; wide colours and highlights fitted into BT.709."""
        scaling = Interpolation.BILINEAR if (width, height) == (frame.width, frame.height) else Interpolation.BICUBIC
        # what decord might have read is read as it reads; swscale is exact in planes alone, and for 16 bits not at all
        is_exact = not self.is_plain and not self.is_wide
        picture = scaler.reformat(
            frame,
            width,
            height,
            "gbrp" if is_exact else "rgb48le" if self.is_wide else "rgb24",
            src_colorspace=READ_AS.get(self.matrix),
            interpolation=scaling | Interpolation.ACCURATE_RND if is_exact else scaling,
            threads=1,
        )
        if is_exact:
            green, blue, red = (np.frombuffer(memoryview(plane), np.uint8) for plane in picture.planes)
            return cv2.merge([plane.reshape(height, -1)[:, :width] for plane in (red, green, blue)])
        if not self.is_wide:
            return picture.to_ndarray()
        # in bands, since light takes eight times the memory
        bands = np.array_split(picture.to_ndarray(), -(-height // BAND_PX))
        return np.concatenate([self._in_bt709(band) for band in bands])

    def _in_bt709(self, picture: np.ndarray) -> np.ndarray:
        """16-bit RGB as 8 bits of BT.709."""
        light = np.take(_light(self.transfer), picture)
        if self.transfer == ColorTrc.ARIB_STD_B67:
            light *= np.take(_hlg_gain(), _codes_of(_mixed(light, HLG_WEIGHTS)))[..., None]
        if self.primaries in TO_BT709:
            rows = TO_BT709[ColorPrimaries(self.primaries)]
            light = np.stack([_mixed(light, row) for row in rows], axis=-1)
        if self.transfer in HIGH_RANGE:
            highest = np.maximum(light.max(axis=-1, keepdims=True), SHOULDER)
            above = (highest - SHOULDER) / (1 - SHOULDER)
            light *= (SHOULDER + (1 - SHOULDER) * above / (1 + above)) / highest
        return np.take(_shown(), _codes_of(light))


@cache
def _tags(kind: type[ColorPrimaries] | type[ColorTrc]) -> frozenset[int]:
    return frozenset(kind) - {UNKNOWN}


# powers by tables and sums one by one: the same bytes on every processor


@cache
def _light(transfer: int) -> np.ndarray:
    """Light of each 16-bit code, shape (65536,), as a share of white; of HLG that of the scene."""
    code = np.linspace(0, 1, NUM_CODES)
    if transfer == ColorTrc.SMPTE2084:
        root = code ** (32 / 2523)
        nits = 10_000 * (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (16384 / 2610)
        light = nits / WHITE_NITS
    elif transfer == ColorTrc.ARIB_STD_B67:
        light = np.where(code <= 0.5, code**2 / 3, (np.exp((code - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    else:
        light = code**GAMMA
    return light.astype(np.float32)


@cache
def _hlg_gain() -> np.ndarray:
    """From the 16-bit luminance of a scene to what its light is multiplied by, shape (65536,)."""
    gain = np.linspace(0, 1, NUM_CODES) ** (HLG_GAMMA - 1) * HLG_PEAK_NITS / WHITE_NITS
    return gain.astype(np.float32)


@cache
def _shown() -> np.ndarray:
    """From 16 bits of light to 8 bits of a display, shape (65536,)."""
    return np.rint(255 * np.linspace(0, 1, NUM_CODES) ** (1 / GAMMA)).astype(np.uint8)


def _codes_of(light: np.ndarray) -> np.ndarray:
    return np.rint(light.clip(0, 1) * np.float32(NUM_CODES - 1)).astype(np.uint16)


def _mixed(light: np.ndarray, weights: tuple[float, float, float]) -> np.ndarray:
    red, green, blue = (light[..., channel] * np.float32(weight) for channel, weight in enumerate(weights))
    return red + green + blue


def usual_matrix(width: int, height: int) -> int:
    """The matrix that players take for granted at this size."""
    return BT709 if width >= 1280 or height > 576 else BT601


class YuvPictures:
    """RGB pictures of one size as they are written: 8 bits of 4:2:0 in limited range."""

    def __init__(self, width: int, height: int, matrix: int) -> None:
        """Make room for a picture; both sides are even."""
        # one frame for all: a new one each time takes as long as the conversion
        self._rgb = av.VideoFrame(width, height, "rgb24")
        self._rows = np.frombuffer(memoryview(self._rgb.planes[0]), np.uint8).reshape(height, -1)[:, : 3 * width]
        self._scaler, self._matrix = VideoReformatter(), READ_AS[matrix]

    def of(self, picture: np.ndarray) -> av.VideoFrame:
        """One picture, shape (height, width, 3), uint8."""
        self._rows[:] = picture.reshape(self._rows.shape)
        return self._scaler.reformat(
            self._rgb,
            format="yuv420p",
            dst_colorspace=self._matrix,
            dst_color_range=ColorRange.MPEG,
            threads=1,
        )


def tag(track: av.VideoCodecContext, matrix: int, shown: tuple[int, int]) -> None:
    """Say in a track how `YuvPictures` are to be shown, by the primaries and transfer of what they were made of."""
    track.colorspace, track.color_range = matrix, ColorRange.MPEG
    track.color_primaries, track.color_trc = shown
