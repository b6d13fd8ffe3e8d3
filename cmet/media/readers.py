"""Two ways to decode a video: decord, and PyAV for all files that decord is not sure to read right."""

import os
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Protocol

# how often decord asks for the last frames; it spins, so the default of 10240 is soon used up where the core is busy
os.environ.setdefault("DECORD_EOF_RETRY_MAX", "102400")

import av
import decord
import numpy as np
from av.video.reformatter import VideoReformatter

from cmet.errors import ClipError
from cmet.media.container import MAX_PIXELS, Container
from cmet.media.files import open_media, plain_name
from cmet.media.packets import PacketOrder, picture_track

BATCH_BYTES = 32 << 20
MAX_BATCH = 16

RELATIVE_ERROR = 1e-6
"""Of decord's times, which are rounded to 32 bits."""

MIN_SKIPPED = 25
"""Frames from which on a seek is worth its while."""

FALLBACK_FPS = 25.0
"""Rate of frames of which neither the file nor the frames say when they appear."""

MISREAD_WIDTHS_PX = frozenset({1, 2, 3, 4, 6, 8, 12, 16, 24, 48, 72})
"""Of frames whose filled-up rows decord takes for more colours, and fails."""

_IN_MEMORY = re.compile(r"/proc/self/fd/\d+")
"""The name of a file that was in a pack, see `cmet.packs.plain_file`."""

_PLACE_IN_SOURCE = re.compile(r"^(\[\d\d:\d\d:\d\d\] \S+:\d+: )+")
"""What decord's errors begin with, once or twice: the time of day, and the file and line of its own code."""

_FAILED_CHECK = "Check failed"
"""What follows it where a frame cannot be decoded; which check fails first, is a race between decord's threads."""


class Reader(Protocol):
    """A video whose frames are handed out by index, in the order in which they are shown."""

    name: str
    times_s: np.ndarray
    """When each frame appears, shape (T,), from 0."""

    def frames_at(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        """Yield the frames at ascending indices, each (H, W, 3) uint8 RGB, upright; an index may repeat."""
        ...


def open_reader(path: Path, container: Container) -> Reader:
    """The fastest reader that is sure to read the file right.

    decord counts frames from where a seek leads and cannot say which it got. So it reads files of which the packets
    prove that its seeks are right, and whose packets it sees as they are.

    Args:
        path: A video.
        container: What is known of it.

    Raises:
        ClipError: `unreadable_video`.
    """
    # decord fails at batches of frames that have to be turned, knows neither the shape of pixels nor wide colours, and
    # holds dozens of frames, gigabytes of large ones
    display = container.display
    is_fit = display.num_bytes <= BATCH_BYTES and display.width not in MISREAD_WIDTHS_PX and display.is_plain
    if container.is_searchable and is_fit:
        with suppress(ClipError):
            reader = DecordReader(path, container)
            if reader.sees(container.order):
                return reader
    return PyavReader(path, container)


class DecordReader:
    """Frames by decord."""

    name = "decord"

    def __init__(self, path: Path, container: Container) -> None:
        """Open the file and read its index; frames are decoded later."""
        self.path = path
        with _Refusals(path):
            with plain_name(path) as name:
                self._reader = decord.VideoReader(name, num_threads=1)
            indices = np.arange(len(self._reader))
            starts = np.asarray(self._reader.get_frame_timestamp(indices))[:, 0].astype(np.float64)
            if not len(starts):
                raise ClipError("unreadable_video", f"{path.name} holds no frames")
        self._starts_s = starts - starts[0]
        # decord's times are rounded, by which an instant between two frames may get the wrong one
        self.times_s = container.order.times_s()
        self._batch = max(1, min(MAX_BATCH, BATCH_BYTES // container.display.num_bytes))

    def sees(self, order: PacketOrder) -> bool:
        """Whether decord's index has the same frames at the same times, and the same key frames."""
        return (
            len(self.times_s) == len(self._starts_s)
            and bool(np.allclose(self.times_s, self._starts_s, rtol=RELATIVE_ERROR, atol=RELATIVE_ERROR))
            and self._reader.get_key_indices() == order.keys
        )

    def frames_at(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        """See `Reader`."""
        for start in range(0, len(indices), self._batch):
            with _Refusals(self.path):
                frames = self._reader.get_batch(list(indices[start : start + self._batch]))
            yield from np.asarray(_Lent(frames))


class PyavReader:
    """Frames by PyAV. It decodes a file once only to know its frames, and then tells each by its time."""

    name = "pyav"

    def __init__(self, path: Path, container: Container) -> None:
        """Decode the file once for the times of its frames."""
        self.path = path
        # frames come at the same times, whether or not the edges of their blocks are smoothed
        stamps = [(frame.pts, frame.dts, frame.time_base) for frame in self._decode({"skip_loop_filter": "all"})]
        if not stamps:
            raise ClipError("unreadable_video", f"{path.name} holds no frames")
        self._pts, decoded, units_s = zip(*stamps, strict=True)
        # AVI and ASF know when packets are decoded only, and FFmpeg takes that for when they are shown
        ticks = min(self._pts, decoded, key=_num_faults)
        step_s = 1 / (container.fps or FALLBACK_FPS)
        self.times_s = _rising(ticks, float(units_s[0] or 1), step_s, container.longest_gap_s)
        is_told_by_time = _num_faults(self._pts) == 0
        self._entries = [0] + [
            index for index, pts in enumerate(self._pts) if index and is_told_by_time and pts in container.order.entries
        ]
        self._frames: Iterator[av.VideoFrame] = iter(())
        self._frame: av.VideoFrame | None = None
        self._index = -1
        self._display, self._scaler = container.display, VideoReformatter()

    def frames_at(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        """See `Reader`. Goes on from the last frame where the next one is near."""
        for index in indices:
            entry = self._entries[bisect_right(self._entries, index) - 1]
            if self._frame is None or index < self._index or entry - self._index > MIN_SKIPPED:
                self._begin(entry)
            while self._index < index:
                self._frame = next(self._frames, None)
                self._index += 1
            if self._frame is None:
                return
            # all of one size, though streams may change theirs midway
            yield self._display.picture(self._frame, self._scaler)

    def _begin(self, entry: int) -> None:
        """Decode from this frame on if a seek leads to it, which its time proves, else from the start."""
        if entry:
            pts = self._pts[entry]
            frames = self._decode(start=pts)
            with suppress(ClipError):
                first = next((frame for frame in frames if frame.pts is None or frame.pts >= pts), None)
                if first is not None and first.pts == pts:
                    self._frames, self._frame, self._index = frames, first, entry
                    return
        self._frames, self._frame, self._index = self._decode(), None, -1

    def _decode(self, options: dict[str, str] | None = None, start: int | None = None) -> Iterator[av.VideoFrame]:
        try:
            with open_media(self.path) as container:
                track = picture_track(container)
                if track is None:
                    return
                track.codec_context.thread_count = 1
                track.codec_context.options = {"max_pixels": str(MAX_PIXELS)} | (options or {})
                if start is not None:
                    container.seek(start, stream=track)
                yield from container.decode(track)
        except av.FFmpegError as error:
            raise _undecodable(self.path, str(error)) from error


def _num_faults(ticks: Sequence[int | None]) -> int:
    """Times that are missing, and twice those that do not come after the one before."""
    known = [tick for tick in ticks if tick is not None]
    return len(ticks) - len(known) + 2 * sum(after <= before for before, after in pairwise(known))


def _rising(ticks: Sequence[int | None], unit_s: float, step_s: float, longest_gap_s: float) -> np.ndarray:
    """Times from 0, in seconds.

    A frame whose time is not known, steps back or goes too far ahead comes a step after the one before, and the rest
    move with it: a recording that was joined from several begins its clock anew.
    """
    times_s: list[float] = []
    offset_s = 0.0
    for tick in ticks:
        expected_s = times_s[-1] + step_s if times_s else 0.0
        time_s = expected_s if tick is None else tick * unit_s + offset_s
        if not times_s or not 0 < time_s - times_s[-1] <= longest_gap_s:
            offset_s += expected_s - time_s
            time_s = expected_s
        times_s.append(time_s)
    return np.array(times_s)


class _Lent:
    """decord's frames for numpy, without the copy that `asnumpy` makes."""

    def __init__(self, frames: decord.nd.NDArray) -> None:
        # numpy keeps this object, and so the frames, as long as it uses them
        self.frames = frames
        address = frames.handle.contents.data
        self.__array_interface__ = {"data": (address, False), "shape": frames.shape, "typestr": "|u1", "version": 3}


class _Refusals:
    """Turns decord's several kinds of error into one ClipError."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        # decord raises its own error for a broken stream, RuntimeError for a file it cannot open and IndexError or
        # StopIteration past a silently short end
        if isinstance(error, decord.DECORDError | RuntimeError | IndexError | StopIteration):
            detail = next((line.strip() for line in str(error).splitlines() if line.strip()), "no frames")
            detail = _PLACE_IN_SOURCE.sub("", detail)
            is_damaged = detail.startswith(_FAILED_CHECK)
            raise _undecodable(self.path, "its data are damaged" if is_damaged else detail) from error


def _undecodable(path: Path, detail: str) -> ClipError:
    # results, in which this stands, are the same wherever the clips lie, in a pack or not
    for said in (str(path.absolute()), str(path), *_IN_MEMORY.findall(detail)):
        detail = detail.replace(said, path.name)
    return ClipError("unreadable_video", f"{path.name} cannot be decoded ({detail[-160:]})")
