"""From one frame rate to another."""

import numpy as np

SPEECH_FPS = 25.0
"""Rate at which the published networks turn speech into lips."""


def resampled(values_TK: np.ndarray, from_fps: float, num_frames: int, fps: float) -> np.ndarray:
    """Values at the instants of other frames, linear in time and held at the ends, shape (num_frames, K), float32."""
    if from_fps == fps and len(values_TK) == num_frames:
        return values_TK.astype(np.float32, copy=False)
    known, wanted = np.arange(len(values_TK)) / from_fps, np.arange(num_frames) / fps
    return np.stack([np.interp(wanted, known, channel) for channel in values_TK.T], axis=1).astype(np.float32)
