"""The encoder of OpenAI's Whisper, whose second layer hears emotions well although it was trained to write down words.

Weights   tiny.pt, tiny.en.pt, base.pt, base.en.pt as published: `dims` and `model_state_dict` in float16
Source    Radford et al., arXiv 2212.04356; openai-whisper 20250625, AudioEncoder in whisper/model.py, whisper/audio.py
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchaudio.functional import melscale_fbanks

from cmet.params import Pooling
from cmet.speech.encoders.checkpoints import fill_model
from cmet.speech.encoders.encoder import SAMPLE_RATE_HZ
from cmet.speech.encoders.pooling import pooled
from cmet.speech.encoders.settings import WHISPERS
from cmet.weights.registry import find_weight

# B windows, N samples, M mel bands, F frames of 10 ms, T frames of 20 ms, D width, H heads

WINDOW = 30 * SAMPLE_RATE_HZ
"""Samples that the encoder hears at once; shorter sounds end in silence, as they do in its training."""

FFT, HOP, NUM_MELS = 400, 160, 80
FRAME = 2 * HOP
"""Samples from one frame of the encoder to the next."""

NUM_FRAMES = WINDOW // FRAME
HEAD_WIDTH = 64
"""Of one head of attention, in every size."""


class Attention(nn.Module):
    """Self-attention of all frames to all frames."""

    def __init__(self, width: int) -> None:
        """Make its four maps."""
        super().__init__()
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, frames_BTD: Tensor) -> Tensor:
        """Shape (B, T, D)."""
        heads = (
            part(frames_BTD).unflatten(-1, (-1, HEAD_WIDTH)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        heard_BHTd = functional.scaled_dot_product_attention(*heads)
        return self.out(heard_BHTd.transpose(1, 2).flatten(start_dim=2))


class Block(nn.Module):
    """One layer."""

    def __init__(self, width: int) -> None:
        """Make its parts under the names that they have in the published files."""
        super().__init__()
        self.attn, self.attn_ln = Attention(width), nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.mlp_ln = nn.LayerNorm(width)

    def forward(self, frames_BTD: Tensor) -> Tensor:
        """Shape (B, T, D)."""
        frames_BTD = frames_BTD + self.attn(self.attn_ln(frames_BTD))
        return frames_BTD + self.mlp(self.mlp_ln(frames_BTD))


class WhisperEncoder(nn.Module):
    """From a log-mel spectrogram to the frames of a layer."""

    positional_embedding: Tensor

    def __init__(self, width: int, num_layers: int) -> None:
        """Make an encoder of one of the published sizes; its sines and cosines of time come with the weights."""
        super().__init__()
        self.conv1 = nn.Conv1d(NUM_MELS, width, kernel_size=3, padding=1)
        self.conv2 = nn.Conv1d(width, width, kernel_size=3, stride=2, padding=1)
        self.register_buffer("positional_embedding", torch.zeros(NUM_FRAMES, width))
        self.blocks = nn.ModuleList(Block(width) for _ in range(num_layers))
        self.ln_post = nn.LayerNorm(width)

    def forward(self, mels_BMF: Tensor, layer: int) -> Tensor:
        """Frames of a layer, shape (B, T, D).

        Args:
            mels_BMF: As `log_mel` gives them.
            layer: Counted from 1; the last one is normalised, as the decoder takes it.
        """
        sound_BDF = functional.gelu(self.conv1(mels_BMF))
        frames_BTD = functional.gelu(self.conv2(sound_BDF)).transpose(1, 2) + self.positional_embedding
        for block in self.blocks[:layer]:
            frames_BTD = block(frames_BTD)
        return self.ln_post(frames_BTD) if layer == len(self.blocks) else frames_BTD


def embed_with_whisper(samples: np.ndarray, name: str, weights: Path, layer: int, pooling: Pooling) -> np.ndarray:
    """The frames that hold sound, pooled over time; shape (D,) or (2 D,), float32.

    A sound of more than 30 s is heard in equal parts.

    Args:
        samples: Shape (N,), at 16 kHz.
        name: A key of `WHISPERS`.
        weights: Folder of published checkpoints.
        layer: Counted from 1.
        pooling: As `pooled` has it.

    Raises:
        UserError: The weights are not here, or are not those of this model.
    """
    model = _load(name, weights)
    with torch.inference_mode():
        return pooled(torch.cat(list(_heard(model, samples, layer))), pooling)


def _heard(model: WhisperEncoder, samples: np.ndarray, layer: int) -> Iterator[Tensor]:
    """The frames that hold sound, part by part, each of shape (T, D)."""
    for part in np.array_split(samples, -(-len(samples) // WINDOW)):
        frames_BTD = model(log_mel(torch.from_numpy(part))[None], layer)
        yield frames_BTD[0, : -(-len(part) // FRAME)]


def log_mel(samples_N: Tensor) -> Tensor:
    """Log-mel spectrogram of up to 30 s, filled up with silence, as Whisper hears it; shape (80, 3000).

    Its filters are librosa's: triangles of equal area on Slaney's scale.
    """
    padded = functional.pad(samples_N, (0, WINDOW - len(samples_N)))
    spectrum = torch.stft(padded, FFT, HOP, window=torch.hann_window(FFT), return_complex=True)
    power = spectrum[:, :-1].abs() ** 2
    filters = melscale_fbanks(FFT // 2 + 1, 0.0, SAMPLE_RATE_HZ / 2, NUM_MELS, SAMPLE_RATE_HZ, "slaney", "slaney")
    log_MF = (filters.T @ power).clamp(min=1e-10).log10()
    return (log_MF.clamp(min=float(log_MF.max()) - 8.0) + 4.0) / 4.0


@cache
def _load(name: str, weights: Path) -> WhisperEncoder:
    network = WHISPERS[name]
    # the published file holds a decoder, too, under names of its own
    whole = nn.ModuleDict({"encoder": WhisperEncoder(network.width, network.num_layers)})
    fill_model(whole, find_weight(name, weights), name, may_hold_more=True)
    encoder = whole.eval()["encoder"]
    assert isinstance(encoder, WhisperEncoder)
    return encoder
