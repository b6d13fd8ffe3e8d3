"""The Connector, with the parameter names of the published checkpoint.

Legend: B batch, T frames of a window, D expression width (EDTalk 10, PD-FGC 30), S speech features
(emotion2vec 1024, eGeMAPS 88), H hidden width, N tokens (2T + 1).

Source: ChanHyeok-Choi/C-MET at bd384ac, the network behind `_epoch_2105_checkpoint_step000200000.pth`.
Differs from it: width D is free. The positions left of a frame after the last convolution are averaged, which
changes nothing at the published width of 10, where one is left.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cmet.params import NetworkParams

NUM_POSITIONS = 512
"""Rows of the position table; a window cannot be longer."""

REFERENCE, SPEECH, SOURCE = 1, 2, 3
"""Rows of the type table; row 0 is a padding row nothing uses."""

FIRST_UNITS = (
    # out channels, kernel, stride, padding
    (4, 3, 1, 1),
    (8, 3, 2, 1),
    (8, 3, 1, 1),
    (8, 3, 1, 1),
    (16, 3, 2, 1),
    (16, 3, 1, 1),
    (16, 3, 1, 1),
    (32, 2, 2, 0),
)
"""Units that shorten a frame; pointwise ones follow, each doubling the channels until there are H."""

MIN_EXPRESSION_WIDTH = 5
"""Shorter frames leave nothing for the k2 s2 unit."""


class Prediction(NamedTuple):
    """What one pass of the Connector gives."""

    direction_BTD: Tensor
    reference_BTH: Tensor
    speech_B1H: Tensor
    source_BTH: Tensor


class Connector(nn.Module):
    """Predicts the expression direction of each frame of a window from a speech direction."""

    def __init__(self, params: NetworkParams, expression_width: int, speech_width: int) -> None:
        """Draw the initial weights from torch's global generator.

        Raises:
            ValueError: The expression width or the window is outside what the network can take.
        """
        super().__init__()
        if expression_width < MIN_EXPRESSION_WIDTH:
            raise ValueError(f"expression width must be at least {MIN_EXPRESSION_WIDTH}, got {expression_width}")
        if params.window > NUM_POSITIONS:
            raise ValueError(f"window must be at most {NUM_POSITIONS}, got {params.window}")
        self.window = params.window
        self.expression_width = expression_width
        self.speech_width = speech_width
        # names and their order are those of the published state dict
        self.fusion_transformer_encoder = Fusion(params)
        self.exp_encoder = frame_encoder(params.hidden)
        self.ref_encoder = frame_encoder(params.hidden)
        self.speaker_encoder = SpeechEncoder(speech_width, params.hidden)
        self.projector = Head(params.hidden, expression_width)
        self.Norm = nn.LayerNorm(params.hidden)
        self.apply(_draw_linear)

    def forward(self, reference_BTD: Tensor, speech_B1S: Tensor, source_BTD: Tensor) -> Prediction:
        """Predict the directions of one window.

        Args:
            reference_BTD: Directions of the T frames before the window, zeros before the start.
            speech_B1S: Speech direction.
            source_BTD: Expression codes of the window.
        """
        reference_BTH = self._encode_frames(self.ref_encoder, reference_BTD)
        source_BTH = self._encode_frames(self.exp_encoder, source_BTD)
        speech_B1H = self.speaker_encoder(speech_B1S)
        fused_BTH = self.fusion_transformer_encoder(reference_BTH, speech_B1H, source_BTH)
        return Prediction(self.projector(fused_BTH), reference_BTH, speech_B1H, source_BTH)

    def _encode_frames(self, encoder: nn.Sequential, frames_BTD: Tensor) -> Tensor:
        # batch norm sees the B·T frames as its batch
        channels_MHL = encoder(frames_BTD.flatten(0, 1).unsqueeze(1))
        return self.Norm(channels_MHL.mean(-1)).unflatten(0, frames_BTD.shape[:2])


class ConvUnit(nn.Module):
    """Convolution, batch norm, the input added where shapes agree, activation."""

    def __init__(
        self, num_in: int, num_out: int, kernel: int, stride: int, padding: int, activation: nn.Module
    ) -> None:
        """Residual only where the numbers of channels agree and the stride is 1."""
        super().__init__()
        self.conv_block = nn.Sequential(nn.Conv1d(num_in, num_out, kernel, stride, padding), nn.BatchNorm1d(num_out))
        self.is_residual = num_in == num_out and stride == 1
        self.activation = activation

    def forward(self, signal: Tensor) -> Tensor:
        """Map (M, num_in, L) to (M, num_out, L')."""
        out = self.conv_block(signal)
        return self.activation(out + signal if self.is_residual else out)


def frame_encoder(hidden: int) -> nn.Sequential:
    """Convolutions from one frame as a 1-channel signal, (M, 1, D), to (M, H, positions left)."""
    units = [*FIRST_UNITS]
    while units[-1][0] < hidden:
        units.append((2 * units[-1][0], 1, 1, 0))
    sizes = [1, *(num_out for num_out, *_ in units)]
    return nn.Sequential(
        *(
            ConvUnit(num_in, *unit, nn.Tanh() if number == len(units) - 1 else nn.ReLU())
            for number, (num_in, unit) in enumerate(zip(sizes, units, strict=False))
        )
    )


class SpeechEncoder(nn.Module):
    """Linear, GELU, layer norm (in this order)."""

    def __init__(self, speech_width: int, hidden: int) -> None:
        """Map S features to H."""
        super().__init__()
        self.proj = nn.Linear(speech_width, hidden)
        self.act = nn.GELU()
        self.norm = nn.LayerNorm(hidden)

    def forward(self, speech_B1S: Tensor) -> Tensor:
        """Speech embedding, shape (B, 1, H)."""
        return self.norm(self.act(self.proj(speech_B1S)))


class Positions(nn.Module):
    """Sine and cosine of the position."""

    pe: Tensor

    def __init__(self, hidden: int) -> None:
        """Even columns sine, odd columns cosine, frequency 10000^(-2i/H)."""
        super().__init__()
        position = torch.arange(NUM_POSITIONS).unsqueeze(1)
        frequency = torch.exp(torch.arange(0, hidden, 2) * (-math.log(10000.0) / hidden))
        table = torch.zeros(1, NUM_POSITIONS, hidden)
        table[0, :, 0::2] = torch.sin(position * frequency)
        table[0, :, 1::2] = torch.cos(position * frequency)
        self.register_buffer("pe", table)

    def forward(self, tokens_BTH: Tensor) -> Tensor:
        """Add the entry of each token's own index."""
        return tokens_BTH + self.pe[:, : tokens_BTH.shape[1]]


class Fusion(nn.Module):
    """Transformer over reference, speech and source tokens; returns the outputs of the source tokens."""

    def __init__(self, params: NetworkParams) -> None:
        """Post-norm layers with ReLU, copies of one prototype."""
        super().__init__()
        self.window = params.window
        self.position_r = Positions(params.hidden)
        self.position_e = Positions(params.hidden)
        self.modality = nn.Embedding(SOURCE + 1, params.hidden, padding_idx=0)
        self.dropout = nn.Dropout(params.dropout)
        layer = nn.TransformerEncoderLayer(
            params.hidden, params.num_heads, params.feedforward, params.dropout, batch_first=True
        )
        self.transformer_encoder = nn.TransformerEncoder(layer, params.num_layers, enable_nested_tensor=False)
        types = [REFERENCE] * self.window + [SPEECH] + [SOURCE] * self.window
        self.register_buffer("types_N", torch.tensor(types), persistent=False)

    def forward(self, reference_BTH: Tensor, speech_B1H: Tensor, source_BTH: Tensor) -> Tensor:
        """Mix the three streams; both frame streams count their positions from 0."""
        tokens = [self.position_r(reference_BTH), speech_B1H, self.position_e(source_BTH)]
        tokens_BNH = self.dropout(torch.cat(tokens, 1) + self.modality(self.types_N))
        return self.transformer_encoder(tokens_BNH)[:, -self.window :]


class Head(nn.Module):
    """Linear, GELU, linear; its hidden width equals the expression width."""

    def __init__(self, hidden: int, expression_width: int) -> None:
        """Map H to D."""
        super().__init__()
        self.projector = nn.Sequential(
            nn.Linear(hidden, expression_width), nn.GELU(), nn.Linear(expression_width, expression_width)
        )

    def forward(self, fused_BTH: Tensor) -> Tensor:
        """Direction per frame, shape (B, T, D)."""
        return self.projector(fused_BTH)


def _draw_linear(module: nn.Module) -> None:
    # attention output projections are linear layers too; its input weights keep torch's own values,
    # equal in all layers because the layers are copies
    if isinstance(module, nn.Linear):
        nn.init.xavier_normal_(module.weight)
        nn.init.zeros_(module.bias)
