"""The mel spectrogram Audio2Lip reads, cut into one window per video frame.

Legend: N samples, F video frames, M mel bands (80), C columns of a window (16).

Source: EDTalk's `networks/audio.py` and `networks/audio_hparams.py` in ChanHyeok-Choi/C-MET at bd384ac, after Wav2Lip;
the mel bands are those of librosa (Slaney's scale, equal areas).
"""

from functools import cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torchaudio.functional import melscale_fbanks

SAMPLE_RATE_HZ = 16000
FPS = 25
SAMPLES_PER_FRAME = SAMPLE_RATE_HZ // FPS
FFT_SIZE, HOP = 800, 200
COLUMNS_PER_S = SAMPLE_RATE_HZ // HOP
NUM_BANDS, NUM_COLUMNS = 80, 16
LOWEST_HZ, HIGHEST_HZ = 55.0, 7600.0
PREEMPHASIS = 0.97
FLOOR, REFERENCE_DB, RANGE_DB, LIMIT = 1e-5, 20.0, 100.0, 4.0

Ends = Literal["constant", "reflect"]


def mel_windows(samples_N: np.ndarray, ends: Ends = "constant") -> Tensor:
    """Windows of the mel spectrogram around each video frame, shape (F, 1, M, C), float32, F = floor(N / 640).

    Args:
        samples_N: Mono, 16 kHz, full scale 1.
        ends: How the sound goes on beyond its ends: with zeros as librosa has it since 0.10, or reflected as before.

    Raises:
        ValueError: The sound is shorter than one video frame.
    """
    num_frames = len(samples_N) // SAMPLES_PER_FRAME
    if not num_frames:
        raise ValueError(f"sound: expected at least {SAMPLES_PER_FRAME} samples, got {len(samples_N)}")
    mel_MT = mel_spectrogram(samples_N[: num_frames * SAMPLES_PER_FRAME], ends)
    # integers are cut towards zero, also the first two, which are negative
    starts_F = np.trunc(COLUMNS_PER_S * (np.arange(num_frames) - 2) / FPS).astype(int)
    columns_FC = np.clip(starts_F[:, None] + np.arange(NUM_COLUMNS), 0, mel_MT.shape[1] - 1)
    return mel_MT[:, torch.from_numpy(columns_FC)].permute(1, 0, 2)[:, None].contiguous()


def mel_spectrogram(samples_N: np.ndarray, ends: Ends = "constant") -> Tensor:
    """Levels in [-4, 4], shape (M, 1 + floor(N / 200)), float32."""
    signal_N = torch.from_numpy(samples_N.astype(np.float64))
    signal_N = torch.cat([signal_N[:1], signal_N[1:] - PREEMPHASIS * signal_N[:-1]])
    window = torch.hann_window(FFT_SIZE, periodic=True, dtype=torch.float64)
    spectrum = torch.stft(signal_N, FFT_SIZE, HOP, window=window, pad_mode=ends, return_complex=True)
    level_db = 20 * torch.log10((audio2lip_bands() @ spectrum.abs()).clamp(min=FLOOR)) - REFERENCE_DB
    scaled = 2 * LIMIT * (level_db + RANGE_DB) / RANGE_DB - LIMIT
    return scaled.clamp(-LIMIT, LIMIT).float()


@cache
def audio2lip_bands() -> Tensor:
    """Weights of the bands, shape (M, 401), float64: triangles of equal area, evenly spaced on Slaney's scale."""
    num_bins = FFT_SIZE // 2 + 1
    bands = melscale_fbanks(
        num_bins, LOWEST_HZ, HIGHEST_HZ, NUM_BANDS, SAMPLE_RATE_HZ, norm="slaney", mel_scale="slaney"
    )
    return bands.T.double()
