"""Video in and out (H.264)."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from cmet.errors import ClipError
from cmet.media.colour import BT709, YuvPictures, tag, usual_matrix
from cmet.media.container import Container
from cmet.media.files import create_media, missing
from cmet.media.readers import Reader, open_reader
from cmet.media.scaling import scaled
from cmet.media.soundtrack import SoundTrack

FASTEST = "ultrafast"
"""x264 preset for clips that are made to be read again: twice the speed of `veryfast`, twice the bytes."""

MAX_RATE_ERROR = 0.1
ROUNDING = 1e-12
"""Relative error of times that were computed in 64 bits. The ticks of no video are as near to each other."""

LIMIT_OF_RATE = 100_000
"""Denominator limit of a written frame rate; enough for 30000/1001."""


@dataclass(frozen=True)
class Video:
    """Decoded frames, shape (T, H, W, 3), uint8 RGB, and their rate in frames per second."""

    frames: np.ndarray
    fps: float


class VideoFile:
    """An opened video that hands out frames without holding them all in memory.

    Raises:
        ClipError: `missing_video`; `unreadable_video` when the file is no video or holds no picture; `too_large` when
            a frame has more pixels than are read; `truncated` when the file ends before it says it does.
    """

    def __init__(self, path: Path, opens: Callable[[Path, Container], Reader] | None = None) -> None:
        """Open the file and read its index; frames are decoded later.

        Args:
            path: Any container FFmpeg knows.
            opens: The reader to use instead of the one that `open_reader` chooses.
        """
        self.path = path
        odd = missing(path)
        if odd is not None:
            raise ClipError("unreadable_video" if path.is_file() else "missing_video", f"{path.name} {odd}")
        container = Container.read(path)
        container.refuse_truncated(path.name)
        self.width, self.height = container.display.width, container.display.height
        self.colour = container.display.colour
        self._reader = (opens or open_reader)(path, container)
        self.num_frames = len(self._reader.times_s)
        self.fps = _plausible_rate(container.fps, self._reader.times_s)

    def __len__(self) -> int:
        """Number of frames."""
        return self.num_frames

    @property
    def reader(self) -> str:
        """Which reader decodes the file."""
        return self._reader.name

    def start_times_s(self) -> np.ndarray:
        """Time at which each frame appears, shape (T,), seconds from the start of the picture."""
        return self._reader.times_s

    def duration_s(self) -> float:
        """Span of the picture; the last frame lasts as long as an average one."""
        return float(self._reader.times_s[-1] + 1 / self.fps)

    def frames_at(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        """Yield the frames at ascending indices, each (H, W, 3) uint8 RGB; an index may repeat.

        Raises:
            ClipError: `unreadable_video`, when it comes to a frame that cannot be decoded.
        """
        num_frames = 0
        for frame in self._reader.frames_at(indices):
            num_frames += 1
            yield frame
        if num_frames < len(indices):
            raise ClipError(
                "unreadable_video", f"{self.path.name} gives {num_frames} of the {len(indices)} frames asked for"
            )


def _plausible_rate(declared_fps: float, times_s: np.ndarray) -> float:
    """The declared rate, or the measured one where they disagree: some files declare the rate of their clock."""
    measured_fps = (len(times_s) - 1) / times_s[-1] if times_s[-1] else declared_fps or 1.0
    return declared_fps if abs(declared_fps - measured_fps) <= MAX_RATE_ERROR * measured_fps else float(measured_fps)


def read_video(path: Path, indices: Sequence[int] | None = None, size_px: int | None = None) -> Video:
    """Decode a short clip into memory.

    Args:
        path: Any container FFmpeg knows.
        indices: Frames to take, ascending; all when None.
        size_px: Resize to this width and height (area interpolation).

    Raises:
        ClipError: `missing_video`, `unreadable_video` or `truncated`.
    """
    file = VideoFile(path)
    frames = file.frames_at(range(len(file)) if indices is None else indices)
    if size_px is not None and (file.height, file.width) != (size_px, size_px):
        frames = (scaled(frame, size_px, size_px, cv2.INTER_AREA) for frame in frames)
    return Video(np.stack(list(frames)), file.fps)


def write_video(
    path: Path,
    frames: Iterable[np.ndarray],
    fps: float,
    sound: Path | None = None,
    crf: int = 16,
    preset: str = "veryfast",
    shown: tuple[int, int] = (BT709, BT709),
    tags: Mapping[str, str] | None = None,
) -> int:
    """Encode frames as H.264 in mp4 and return their number.

    The same frames give the same bytes, whatever the width.

    Args:
        path: Target; the caller makes it atomic.
        frames: RGB uint8 pictures of one size (H, W, 3). An odd last row or column is repeated once, since
            4:2:0 video has even sizes.
        fps: Frame rate; kept as a fraction, so 30000/1001 stays what it is.
        sound: A sound file, or a video whose first sound track is taken, from the start of its picture. Copied where
            mp4 can hold it as it is, else encoded as AAC; left out where it cannot be decoded (see `sound_fault`).
        crf: x264 quality, 0 lossless to 51.
        preset: x264 speed; a faster one makes a larger file of the same quality.
        shown: Primaries and transfer of the frames, as `Colorimetry.shown` has them. The matrix is the one that players
            take for granted at this size.
        tags: What the file says of itself, by FFmpeg's names of what mp4 has a place for (`comment`, `synopsis`).
    """
    num_frames = 0
    pictures: YuvPictures | None = None
    with create_media(path, movflags="+faststart") as container:
        container.metadata.update(tags or {})
        stream = container.add_stream(
            "libx264",
            rate=Fraction(fps).limit_denominator(LIMIT_OF_RATE),
            options={"crf": str(crf), "preset": preset},
        )
        stream.codec_context.thread_count = 1
        track = SoundTrack(container, sound) if sound is not None else None
        for frame in frames:
            height, width = frame.shape[:2]
            if pictures is None:
                stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
                stream.codec_context.options |= _repeatable(stream.width)
                matrix = usual_matrix(stream.width, stream.height)
                tag(stream.codec_context, matrix, shown)
                pictures = YuvPictures(stream.width, stream.height, matrix)
            if height % 2 or width % 2:
                frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
            container.mux(stream.encode(pictures.of(frame)))
            num_frames += 1
        if num_frames:
            container.mux(stream.encode(None))
        if track is not None:
            track.mux()
    return num_frames


def _repeatable(width: int) -> dict[str, str]:
    """What x264 has to be told for the same bytes each time.

    Its code for AVX-512 weighs memory behind the rows that nobody has written, unless they end with 64 pixels.
    """
    return {"x264-params": "asm=avx2"} if width % 64 and _has_avx512() else {}


@cache
def _has_avx512() -> bool:
    return "avx512" in Path("/proc/cpuinfo").read_text(encoding="utf-8")


def frames_at_rate(start_times_s: np.ndarray, fps: float, num_frames: int) -> np.ndarray:
    """Which source frame shows at each instant of a constant rate; right for variable frame rates too.

    Args:
        start_times_s: When each source frame appears, ascending, shape (N,).
        fps: The constant rate.
        num_frames: Instants wanted.

    Returns:
        Shape (num_frames,), indices into the source, ascending.
    """
    instants = (np.arange(num_frames) + 0.5) / fps
    # a frame that begins at the very instant is shown, though its time is a rounded one
    shown = np.searchsorted(start_times_s, instants * (1 + ROUNDING), side="right") - 1
    return np.clip(shown, 0, len(start_times_s) - 1)
