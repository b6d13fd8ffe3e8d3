"""Values of every frame: brought to another rate, and filled where a face was lost."""

import numpy as np

SPEECH_FPS = 25.0
"""Rate at which the published networks turn speech into lips."""


def resampled(values_TK: np.ndarray, from_fps: float, num_frames: int, fps: float) -> np.ndarray:
    """Values at the instants of other frames, linear in time and held at the ends, shape (num_frames, K), float32."""
    if from_fps == fps and len(values_TK) == num_frames:
        return values_TK.astype(np.float32, copy=False)
    known, wanted = np.arange(len(values_TK)) / from_fps, np.arange(num_frames) / fps
    return np.stack([np.interp(wanted, known, channel) for channel in values_TK.T], axis=1).astype(np.float32)


def fill_gaps(track: np.ndarray, is_found: np.ndarray) -> np.ndarray:
    """Interpolate missing frames linearly in time; before the first and after the last, hold the nearest.

    Args:
        track: Shape (T, ...).
        is_found: Shape (T,), bool, with at least one True.
    """
    if is_found.all():
        return track
    known = np.flatnonzero(is_found)
    wanted = np.arange(len(track))
    flat = track.reshape(len(track), -1)
    before = known[np.clip(np.searchsorted(known, wanted, side="right") - 1, 0, None)]
    after = known[np.clip(np.searchsorted(known, wanted), None, len(known) - 1)]
    gap = np.maximum(after - before, 1)
    share = (np.clip(wanted, known[0], known[-1]) - before) / gap
    filled = flat[before] + share[:, None].astype(flat.dtype) * (flat[after] - flat[before])
    return filled.reshape(track.shape).astype(track.dtype)
