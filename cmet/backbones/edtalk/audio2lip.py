"""Audio2Lip: lip coefficients from speech, with the parameter names of `Audio2Lip.pt`.

Legend: F video frames, M mel bands (80), C columns of a window (16), P lip coefficients (20).

Source: EDTalk's `networks/audio_encoder.py` and the smoothing of `inference.py` in ChanHyeok-Choi/C-MET at bd384ac.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cmet.backbones.edtalk.generator import NUM_LIP
from cmet.backbones.edtalk.mel import Ends, mel_windows

UNITS: tuple[tuple[int, int, int | tuple[int, int], int], ...] = (
    # out channels, kernel, stride, padding
    (32, 3, 1, 1),
    (32, 3, 1, 1),
    (32, 3, 1, 1),
    (64, 3, (3, 1), 1),
    (64, 3, 1, 1),
    (64, 3, 1, 1),
    (128, 3, 3, 1),
    (128, 3, 1, 1),
    (128, 3, 1, 1),
    (256, 3, (3, 2), 1),
    (256, 3, 1, 1),
    (512, 3, 1, 0),
    (512, 1, 1, 0),
)
"""Units, the last one apart; residual where the numbers of channels agree."""


class SpectrogramUnit(nn.Module):
    """Convolution, batch norm, the input added in residual units, ReLU."""

    def __init__(
        self, num_in: int, num_out: int, kernel: int, stride: int | tuple[int, int], padding: int, is_residual: bool
    ) -> None:
        """Names are those of the published state dict."""
        super().__init__()
        self.conv_block = nn.Sequential(nn.Conv2d(num_in, num_out, kernel, stride, padding), nn.BatchNorm2d(num_out))
        self.is_residual = is_residual

    def forward(self, x: Tensor) -> Tensor:
        """Map (F, num_in, M, C) to (F, num_out, M', C')."""
        out = self.conv_block(x)
        return functional.relu(out + x if self.is_residual else out)


class Audio2Lip(nn.Module):
    """Lip coefficients of each video frame from the mel window around it."""

    def __init__(self) -> None:
        """Names and their order are those of the published state dict."""
        super().__init__()
        self.audio_encoder = nn.Sequential()
        num_in = 1
        for number, (num_out, kernel, stride, padding) in enumerate(UNITS):
            is_residual = num_in == num_out and number < len(UNITS) - 1
            self.audio_encoder.append(SpectrogramUnit(num_in, num_out, kernel, stride, padding, is_residual))
            num_in = num_out
        self.mapping = nn.Linear(num_in, NUM_LIP)

    def forward(self, windows_F1MC: Tensor) -> Tensor:
        """Lip coefficients, shape (F, P)."""
        return self.mapping(self.audio_encoder(windows_F1MC).flatten(1))


@torch.inference_mode()
def lips_from_speech(
    network: Audio2Lip, samples_N: np.ndarray, batch_size: int = 256, ends: Ends = "constant", holds_ends: bool = False
) -> Tensor:
    """Smoothed lip coefficients for 25 frames a second, shape (F, P), on the CPU; F = floor(N / 640).

    Args:
        network: In eval mode.
        samples_N: Mono, 16 kHz, full scale 1.
        batch_size: Video frames that go through the network at once.
        ends: As in `mel_windows`.
        holds_ends: As in `smooth_lips`.

    Raises:
        ValueError: The sound is shorter than one video frame.
    """
    device = network.mapping.weight.device
    windows_F1MC = mel_windows(samples_N, ends)
    lips_FP = torch.cat([network(batch.to(device)).cpu() for batch in windows_F1MC.split(batch_size)])
    return smooth_lips(lips_FP, holds_ends)


def smooth_lips(track_FP: Tensor, holds_ends: bool = False) -> Tensor:
    """Filter over time with three taps of a Gaussian of one frame.

    Args:
        track_FP: At least one frame.
        holds_ends: Go on with the first and the last frame beyond the ends. The published filter goes on with zeros,
            which shrinks those two frames by a quarter.
    """
    taps_3 = torch.exp(-torch.tensor([-1.0, 0.0, 1.0]).square() / 2).to(track_FP)
    padded_P1F = functional.pad(track_FP.T[:, None], (1, 1), "replicate" if holds_ends else "constant")
    return functional.conv1d(padded_P1F, (taps_3 / taps_3.sum())[None, None])[:, 0].T
