"""From one emotion to the next along a video: which of them a window shows, and how much of it.

Legend: T frames, W windows, K emotions, S speech features.

Source: the paper's continuous editing, where the speech vector is switched every window of 5 frames; no code of it is
published.
"""

from collections.abc import Sequence

import numpy as np

from cmet.editing.wishes.options import Transition


def emotion_shares(num_windows: int, num_emotions: int, transition: Transition) -> np.ndarray:
    """Share of each emotion in each window, shape (W, K); rows sum to 1.

    The first window is the first emotion's and the last window the last one's.

    Args:
        num_windows: At least one for each emotion.
        num_emotions: At least one.
        transition: `smooth`: each emotion has one window of its own, evenly spread from the first to the last, and
            between two of these the share goes over evenly; `switch`: an equal part of the windows each, of which the
            first ones get those that are left over.

    Raises:
        ValueError: There are fewer windows than emotions.
    """
    if not 1 <= num_emotions <= num_windows:
        raise ValueError(f"expected a window for each of {num_emotions} emotions, got {num_windows}")
    windows = np.arange(num_windows)
    if transition == "switch":
        return np.eye(num_emotions)[windows * num_emotions // num_windows]
    gaps = max(1, num_emotions - 1)
    own = (2 * np.arange(num_emotions) * (num_windows - 1) + gaps) // (2 * gaps)  # rounded, the same for all machines
    return np.stack([np.interp(windows, own, share) for share in np.eye(num_emotions)], axis=1)


def timed_shares(
    num_frames: int, fps: float, starts_s: Sequence[float], ends_s: float, eases_s: Sequence[float]
) -> np.ndarray:
    """Share of each emotion in each frame, shape (T, K); rows sum to 1.

    Args:
        num_frames: T.
        fps: Their rate.
        starts_s: From when each emotion is shown, in order; the first starts with the first frame, whatever is said.
        ends_s: When the last one ends.
        eases_s: Seconds that the change to each emotion takes, half of them before its start; of the first one it is
            not looked at. No change takes longer than the emotions on either side of it last.
    """
    times_T = (np.arange(num_frames) + 0.5) / fps
    lengths_s = np.diff([*starts_s, ends_s])
    shares_TK = np.zeros((num_frames, len(starts_s)))
    shares_TK[:, 0] = 1
    for number in range(1, len(starts_s)):
        ease_s = min(eases_s[number], *lengths_s[number - 1 : number + 1])
        since_T = times_T - starts_s[number]
        come_T = np.clip(since_T / ease_s + 0.5, 0, 1) if ease_s > 0 else (since_T >= 0).astype(float)
        # without a jerk where it begins and ends
        come_T = come_T**2 * (3 - 2 * come_T)
        shares_TK[:, number - 1] -= come_T
        shares_TK[:, number] = come_T
    return np.clip(shares_TK, 0, 1)


def deltas_along(shares_WK: np.ndarray, deltas: Sequence[np.ndarray | None]) -> np.ndarray:
    """Speech delta of each window, shape (W, S): the mean of those of its emotions, weighted by their shares.

    What is no change has no delta and leaves that of its neighbour as it is: a delta of zeros would be heard as
    something, so no change is made by a strength of 0. Zeros stand where there is nothing else.

    Args:
        shares_WK: As `emotion_shares` gives them.
        deltas: Shape (S,) each; None for no change. At least one is a delta.
    """
    spoken = [number for number, delta in enumerate(deltas) if delta is not None]
    deltas_MS = np.stack([delta for delta in deltas if delta is not None])
    shares_WM = shares_WK[:, spoken]
    sums_W1 = shares_WM.sum(axis=1, keepdims=True)
    return shares_WM @ deltas_MS / np.where(sums_W1 > 0, sums_W1, 1)
