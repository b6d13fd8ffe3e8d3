"""Which frame of a video stands behind each frame of a result that is shorter or longer than it."""

from collections.abc import Iterator

import numpy as np

from cmet.editing.messages import frames_said
from cmet.errors import UserError
from cmet.media.video import VideoFile

NUM_CUT = 20
"""Edited frames at the end that the published code leaves out."""

BLOCK_BYTES = 64 << 20
"""Frames held at once where a video is shown backwards."""


def there_and_back(num_frames: int, num_wanted: int) -> np.ndarray:
    """0..N-1, N-1..0, 0.. up to the wanted number; both ends come twice."""
    position = np.arange(num_wanted) % (2 * num_frames)
    return np.minimum(position, 2 * num_frames - 1 - position)


def num_kept(num_edited: int) -> int:
    """Edited frames that the published code uses.

    Raises:
        UserError: There is none, where the published code never ends.
    """
    if num_edited <= NUM_CUT:
        raise UserError(
            f"--parity: {frames_said(num_edited)} can be edited, but the published procedure drops the last "
            f"{NUM_CUT}; take a longer video, or leave out --parity"
        )
    return num_edited - NUM_CUT


def published_schedule(num_edited: int, num_poses: int, num_lips: int) -> tuple[np.ndarray, np.ndarray]:
    """Index of the edited expression and of the pose behind each of the frames, which are as many as the lips.

    The published code cuts the last 20 expressions and, while they are fewer than the lips, appends the reversed copy
    of all it has, which goes there and back. The pose is not mirrored: it holds its last frame.

    Raises:
        UserError: No expression is left.
    """
    return there_and_back(num_kept(num_edited), num_lips), np.minimum(np.arange(num_lips), num_poses - 1)


def frames_in_order(file: VideoFile, indices: np.ndarray, block_bytes: int = BLOCK_BYTES) -> Iterator[np.ndarray]:
    """Frames at indices that rise and fall; where they fall, a block is decoded forwards and handed out backwards."""
    block = max(1, block_bytes // (file.width * file.height * 3))
    for run in _runs(indices):
        if run[0] <= run[-1]:
            yield from file.frames_at(run.tolist())
            continue
        for start in range(0, len(run), block):
            frames = list(file.frames_at(run[start : start + block][::-1].tolist()))
            while frames:
                yield frames.pop()


def _runs(indices: np.ndarray) -> list[np.ndarray]:
    """Parts that only rise or only fall; equal neighbours go with what came before."""
    heading = np.sign(np.diff(indices))
    turns, current = [], 0
    for position, sign in enumerate(heading.tolist()):
        if sign and current and sign != current:
            turns.append(position + 1)
            current = 0
        else:
            current = sign or current
    return [run for run in np.split(indices, turns) if len(run)]
