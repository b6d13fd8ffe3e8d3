"""What a backbone sees of a clip, frame by frame."""

import numpy as np


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
