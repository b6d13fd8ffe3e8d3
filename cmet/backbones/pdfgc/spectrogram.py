"""Speech as PD-FGC hears it: a level-normalised mel spectrogram, cut into a window per video frame.

Legend: S samples at 16 kHz, R rows of the spectrogram (100 a second), M mel bands (80), N video frames (25 a second).

Source: Dorniwang/PD-FGC-inference at d3c1488; the transform is that of the lws package, the bands are Slaney's.
"""

import numpy as np
import torch
from torch import Tensor
from torchaudio.functional import melscale_fbanks

from cmet.backbones.pdfgc.audio import NUM_BANDS
from cmet.errors import ClipError

SAMPLE_RATE_HZ = 16_000
FRAME = 1280
"""Samples under the window of the transform."""
SHIFT = 160
"""Samples from one row to the next."""
LOWEST_HZ, HIGHEST_HZ = 125.0, 7600.0

LEVEL = 0.1
"""Root mean square of the signal after normalising."""
QUIETEST = 1e-4
"""A signal below this level is treated as if it had it."""

ROWS_PER_VIDEO_FRAME = 4
ROWS_PER_WINDOW = 20
FIRST_VIDEO_FRAME = 2
"""A window begins two video frames before its own, so this is the first to have one."""
ROWS_AT_ONCE = 4096


def speech_windows(samples_S: np.ndarray, is_whole: bool = False) -> Tensor:
    """Spectrogram windows of video frames, shape (N, 1, 80, 20), values in [0, 1].

    The windows overlap and share one memory: copy before writing.

    Args:
        samples_S: Mono sound at 16 kHz.
        is_whole: Give every video frame a window, by silence before and after the sound. The published code has none
            for the first two and the last ones.

    Raises:
        ClipError: `too_short`, where the sound fills no window.
    """
    rows_RM = spectrogram(samples_S)
    num_windows = len(rows_RM) // ROWS_PER_VIDEO_FRAME - 2 * FIRST_VIDEO_FRAME
    if is_whole:
        num_windows = len(samples_S) // (SHIFT * ROWS_PER_VIDEO_FRAME)
        num_before = ROWS_PER_VIDEO_FRAME * FIRST_VIDEO_FRAME
        rows_RM = np.pad(rows_RM, ((num_before, ROWS_PER_WINDOW), (0, 0)))
    if num_windows < 1:
        needed_s = 0.04 if is_whole else 0.13
        raise ClipError(
            "too_short",
            f"{len(samples_S) / SAMPLE_RATE_HZ:.2f} s of speech; one frame needs at least {needed_s} s",
        )
    rows = torch.from_numpy(rows_RM).unfold(0, ROWS_PER_WINDOW, ROWS_PER_VIDEO_FRAME)
    return rows[:num_windows].unsqueeze(1)


def spectrogram(samples_S: np.ndarray) -> np.ndarray:
    """Mel levels, shape (R, 80), float32, from 0 (-100 dB) to 1 (0 dB).

    Args:
        samples_S: Mono sound at 16 kHz.
    """
    padded = _padded(_levelled(samples_S))
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::SHIFT]
    window = analysis_window()
    bands_MF = pdfgc_bands()
    # in parts: a long recording has ten million numbers in its transform
    parts = (
        np.abs(np.fft.rfft(frames[start : start + ROWS_AT_ONCE] * window)) @ bands_MF.T
        for start in range(0, len(frames), ROWS_AT_ONCE)
    )
    levels = np.concatenate([20 * np.log10(np.maximum(1e-5, part)) - 20 for part in parts])
    return np.clip((levels + 100) / 100, 0, 1).astype(np.float32)


def analysis_window() -> np.ndarray:
    """Root of a Hann window, scaled so that analysis and synthesis give the signal back, shape (1280,), float64."""
    return 0.5 * np.sin(np.pi * (2 * np.arange(FRAME) + 1) / (2 * FRAME))


def pdfgc_bands() -> np.ndarray:
    """Triangles on Slaney's mel scale, each of area 1, over the bins of the transform, shape (80, 641), float64."""
    num_bins = FRAME // 2 + 1
    bands = melscale_fbanks(
        num_bins, LOWEST_HZ, HIGHEST_HZ, NUM_BANDS, SAMPLE_RATE_HZ, norm="slaney", mel_scale="slaney"
    )
    return bands.T.double().numpy()


def _levelled(samples_S: np.ndarray) -> np.ndarray:
    samples = samples_S.astype(np.float64)
    rms = np.sqrt(np.mean(np.square(samples))) if len(samples) else 0.0
    return samples * (LEVEL / max(rms, QUIETEST))


def _padded(samples: np.ndarray) -> np.ndarray:
    """Zeros on both sides, so that every sample lies under the same number of windows."""
    side = FRAME - SHIFT
    return np.pad(samples, (side, side + -len(samples) % SHIFT))
