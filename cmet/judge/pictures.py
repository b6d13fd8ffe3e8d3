"""The pictures a judge learns from: held in memory, or read anew in every epoch."""

# N frames, T frames of a clip, V clips, S samples of a batch: frames or clips

from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Protocol

import numpy as np

from cmet.errors import ClipError
from cmet.judge.frames import Resize, read_frames

PictureBatch = tuple[np.ndarray, np.ndarray]
"""Frames, shape (S T, P, P, 3), and a label per sample, shape (S,); a frame alone is a sample of T = 1."""


class TrainingPictures(Protocol):
    """Labelled frames of the training clips."""

    @property
    def num_samples(self) -> int:
        """Samples of an epoch."""
        ...

    @property
    def num_batches(self) -> int:
        """Batches of an epoch."""
        ...

    def batches(self, order: np.random.Generator) -> Iterator[PictureBatch]:
        """All samples once, in a new order."""
        ...

    def clips(self) -> Iterator[np.ndarray]:
        """The frames of each clip, shape (T, P, P, 3), in the order in which they were given."""
        ...


class HeldFrames:
    """All frames in memory, each a sample of its own."""

    def __init__(self, clips: Iterable[np.ndarray], labels_V: np.ndarray, batch_size: int) -> None:
        """Take the frames of clips and the label of each clip."""
        frames = list(clips)
        self.frames_per_clip = len(frames[0])
        self.frames_NHWC = np.concatenate(frames)
        self.labels_N = np.repeat(labels_V, self.frames_per_clip)
        self.batch_size = batch_size

    @property
    def num_samples(self) -> int:
        """Frames."""
        return len(self.labels_N)

    @property
    def num_batches(self) -> int:
        """Batches of an epoch."""
        return -(-self.num_samples // self.batch_size)

    def batches(self, order: np.random.Generator) -> Iterator[PictureBatch]:
        """All frames once, in a new order."""
        for part in np.array_split(order.permutation(self.num_samples), self.num_batches):
            yield self.frames_NHWC[part], self.labels_N[part]

    def clips(self) -> Iterator[np.ndarray]:
        """The frames of each clip."""
        return iter(self.frames_NHWC.reshape(-1, self.frames_per_clip, *self.frames_NHWC.shape[1:]))


class StreamedClips:
    """Clips that are decoded anew in every epoch, each a sample; two batches at most are in memory."""

    def __init__(
        self,
        paths: Sequence[Path],
        labels_V: np.ndarray,
        batch_size: int,
        num_frames: int,
        size_px: int,
        resize: Resize,
    ) -> None:
        """Take the videos of clips and the label of each clip."""
        self.paths = paths
        self.labels_V = labels_V
        self.batch_size = batch_size
        self.num_frames = num_frames
        self.size_px = size_px
        self.resize = resize

    @property
    def num_samples(self) -> int:
        """Clips."""
        return len(self.paths)

    @property
    def num_batches(self) -> int:
        """Batches of an epoch."""
        return -(-self.num_samples // self.batch_size)

    def batches(self, order: np.random.Generator) -> Iterator[PictureBatch]:
        """All clips once, in a new order; the next batch is decoded while one is used."""
        parts = np.array_split(order.permutation(self.num_samples), self.num_batches)
        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(self._read, parts[0])
            for part, following in zip(parts, [*parts[1:], None], strict=True):
                frames = coming.result()
                if following is not None:
                    coming = pool.submit(self._read, following)
                yield frames, self.labels_V[part]

    def clips(self) -> Iterator[np.ndarray]:
        """The frames of each clip."""
        return readable_clips(read_frames(self.paths, self.num_frames, self.size_px, self.resize))

    def _read(self, part: np.ndarray) -> np.ndarray:
        paths = [self.paths[number] for number in part]
        return np.concatenate(list(readable_clips(read_frames(paths, self.num_frames, self.size_px, self.resize))))


def readable_clips(clips: Generator[np.ndarray | ClipError, None, None]) -> Iterator[np.ndarray]:
    """The frames of clips as `read_frames` reads them.

    Raises:
        ClipError: When it comes to one that cannot be read.
    """
    # closed at once, and with it the threads that read
    with closing(clips):
        for frames in clips:
            if isinstance(frames, ClipError):
                raise frames
            yield frames
