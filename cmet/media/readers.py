"""Two ways to decode a video: decord, and PyAV for the files that decord refuses or misreads."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

# how often decord asks for the last frames; it spins, so the default of 10240 is soon used up where the core is busy
os.environ.setdefault("DECORD_EOF_RETRY_MAX", "102400")

import av
import decord
import numpy as np

from cmet.errors import ClipError
from cmet.media.container import upright

BATCH_BYTES = 32 << 20
MAX_BATCH = 16


class Reader(Protocol):
    """A video whose frames are handed out by index, in the order in which they are shown."""

    name: str
    times_s: np.ndarray
    """When each frame appears, shape (T,), from 0."""

    def frames_at(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        """Yield the frames at ascending indices, each (H, W, 3) uint8 RGB, upright; an index may repeat."""
        ...


def open_reader(path: Path, is_turned: bool) -> Reader:
    """The first reader that reads the file right.

    Args:
        path: A video.
        is_turned: Whether its frames have to be turned: decord fails at batches of such frames.

    Raises:
        ClipError: `unreadable_video`.
    """
    if is_turned:
        return PyavReader(path)
    try:
        reader = DecordReader(path)
    except ClipError:
        return PyavReader(path)
    return PyavReader(path) if reader.shows_hidden else reader


class DecordReader:
    """Frames by decord."""

    name = "decord"

    def __init__(self, path: Path) -> None:
        """Open the file and read its index; frames are decoded later."""
        self.path = path
        with _Refusals(path):
            self._reader = decord.VideoReader(str(path), num_threads=1)
            indices = np.arange(len(self._reader))
            starts = np.asarray(self._reader.get_frame_timestamp(indices))[:, 0].astype(np.float64)
            if not len(starts):
                raise ClipError("unreadable_video", f"{path.name} holds no frames")
        self.shows_hidden = bool(starts[0] < 0 or (np.diff(starts) <= 0).any())
        """Whether frames are among these that an edit list hides; they come before the start or twice."""
        self.times_s = starts - starts[0]
        self._batch = MAX_BATCH

    def frames_at(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        """See `Reader`."""
        start = 0
        while start < len(indices):
            with _Refusals(self.path):
                frames = self._reader.get_batch(list(indices[start : start + self._batch])).asnumpy()
            start += len(frames)
            yield from frames
            self._batch = max(1, min(MAX_BATCH, BATCH_BYTES // frames[0].nbytes))


class PyavReader:
    """Frames by PyAV. Slower: it decodes a file once only to know its frames, and always from the start."""

    name = "pyav"

    def __init__(self, path: Path) -> None:
        """Decode the file once for the times of its frames."""
        self.path = path
        # as exact as decord's, so that both mean the same frame where an instant falls between two
        times = np.array([frame.time for frame in self._decode()], np.float32).astype(np.float64)
        if not len(times):
            raise ClipError("unreadable_video", f"{path.name} holds no frames")
        self.times_s = times - times[0]

    def frames_at(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        """See `Reader`."""
        wanted = iter(indices)
        index = next(wanted, None)
        for number, frame in enumerate(self._decode()):
            if index is None:
                return
            if number == index:
                picture = upright(frame)
                while number == index:
                    yield picture
                    index = next(wanted, None)

    def _decode(self) -> Iterator[av.VideoFrame]:
        try:
            with av.open(str(self.path), metadata_errors="ignore") as container:
                container.streams.video[0].codec_context.thread_count = 1
                for frame in container.decode(video=0):
                    if frame.time is not None:
                        yield frame
        except (av.FFmpegError, IndexError) as error:
            raise _undecodable(self.path, str(error)) from error


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
            raise _undecodable(self.path, detail) from error


def _undecodable(path: Path, detail: str) -> ClipError:
    # results, in which this stands, are the same wherever the clips lie
    detail = detail.replace(str(path), path.name)
    return ClipError("unreadable_video", f"{path.name} cannot be decoded ({detail[-160:]})")
