"""The Connector, with the parameter names of the published checkpoint.

Legend: B batch, T frames of a window, D expression width (EDTalk 10, PD-FGC 30), S speech features
(emotion2vec 1024, eGeMAPS 88), H hidden width, N tokens (2T + 1).

Source: ChanHyeok-Choi/C-MET at bd384ac, the network behind `_epoch_2105_checkpoint_step000200000.pth`.
Differs from it: width D is free. The positions left of a frame after the last convolution are averaged, which
changes nothing at the published width of 10, where one is left.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

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

    delta_BTD: Tensor
    reference_BTH: Tensor
    speech_B1H: Tensor
    source_BTH: Tensor


class Connector(nn.Module):
    """Predicts the expression delta of each frame of a window from a speech delta."""

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
        self.hidden = params.hidden
        self.expression_width = expression_width
        self.speech_width = speech_width
        # names and their order are those of the published state dict
        self.fusion_transformer_encoder = Fusion(params)
        self.exp_encoder = FrameEncoder(params.hidden)
        self.ref_encoder = FrameEncoder(params.hidden)
        self.speaker_encoder = SpeechProjection(speech_width, params.hidden)
        self.projector = Head(params.hidden, expression_width)
        self.Norm = nn.LayerNorm(params.hidden)
        self.apply(_draw_linear)

    def forward(self, reference_BTD: Tensor, speech_B1S: Tensor, source_BTD: Tensor) -> Prediction:
        """Predict the deltas of one window.

        Args:
            reference_BTD: Deltas of the T frames before the window, zeros before the start.
            speech_B1S: Speech delta.
            source_BTD: Expression codes of the window.
        """
        (prediction,) = self.passes([(reference_BTD, speech_B1S, source_BTD)])
        return prediction

    def passes(self, inputs: Sequence[tuple[Tensor, Tensor, Tensor]]) -> list[Prediction]:
        """Predictions for several windows of one shape, as `forward` would give one after the other.

        Only batch norm looks across samples, so it sees each pass on its own and all else runs once for all.
        """
        references, speech, sources = zip(*inputs, strict=True)
        # batch norm sees the B·T frames of a pass as its batch
        reference_MH = self.ref_encoder(torch.cat(references).flatten(0, 1), len(inputs))
        source_MH = self.exp_encoder(torch.cat(sources).flatten(0, 1), len(inputs))
        both_MH = self.Norm(torch.cat([reference_MH, source_MH]))
        reference_BTH, source_BTH = both_MH.unflatten(0, (2, -1, self.window)).unbind()
        speech_B1H = self.speaker_encoder(torch.cat(speech))
        fused_BTH = self.fusion_transformer_encoder(reference_BTH, speech_B1H, source_BTH)
        streams = (self.projector(fused_BTH), reference_BTH, speech_B1H, source_BTH)
        return [Prediction(*parts) for parts in zip(*(stream.chunk(len(inputs)) for stream in streams), strict=True)]


class SignalUnit(nn.Module):
    """Convolution, batch norm, the input added where shapes agree, activation.

    The convolution is a matrix product over patches: for signals of ten positions and a few channels that is several
    times as fast as a convolution routine.
    """

    def __init__(
        self, num_in: int, num_out: int, kernel: int, stride: int, padding: int, activation: nn.Module
    ) -> None:
        """Residual only where the numbers of channels agree and the stride is 1."""
        super().__init__()
        self.conv_block = nn.Sequential(nn.Conv1d(num_in, num_out, kernel, stride, padding), nn.BatchNorm1d(num_out))
        self.is_residual = num_in == num_out and stride == 1
        self.activation = activation

    def forward(self, signal_MLC: Tensor, num_passes: int) -> Tensor:
        """Map (M, L, num_in) to (M, L', num_out); batch norm sees each of the passes that M consists of on its own."""
        conv, norm = self.conv_block
        assert isinstance(conv, nn.Conv1d)
        assert not isinstance(conv.padding, str)
        padded = functional.pad(signal_MLC, (0, 0, *2 * conv.padding))
        patches = padded.unfold(1, *conv.kernel_size, *conv.stride)
        rows = functional.linear(patches.flatten(0, 1).flatten(1), conv.weight.flatten(1), conv.bias)
        normed = torch.cat([norm(part) for part in rows.chunk(num_passes)])
        out_MLC = normed.unflatten(0, patches.shape[:2])
        activated: Tensor = self.activation(out_MLC + signal_MLC if self.is_residual else out_MLC)
        return activated


class FrameEncoder(nn.Sequential):
    """Convolutions over each frame as a 1-channel signal."""

    def __init__(self, hidden: int) -> None:
        """Shorten the signal, then double its channels until there are H."""
        units = [*FIRST_UNITS]
        while units[-1][0] < hidden:
            units.append((2 * units[-1][0], 1, 1, 0))
        sizes = [1, *(num_out for num_out, *_ in units)]
        super().__init__(
            *(
                SignalUnit(num_in, *unit, nn.Tanh() if number == len(units) - 1 else nn.ReLU())
                for number, (num_in, unit) in enumerate(zip(sizes, units, strict=False))
            )
        )

    def forward(self, frames_MD: Tensor, num_passes: int = 1) -> Tensor:
        """Map (M, D) to (M, H), averaged over the positions that are left; M frames of equally many for each pass."""
        signal_MLC: Tensor = frames_MD[..., None]
        for unit in self:
            signal_MLC = unit(signal_MLC, num_passes)
        return signal_MLC.mean(1)


class SpeechProjection(nn.Module):
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
        # the container gives the parameters their published names
        self.transformer_encoder = nn.TransformerEncoder(layer, params.num_layers, enable_nested_tensor=False)
        types = [REFERENCE] * self.window + [SPEECH] + [SOURCE] * self.window
        self.register_buffer("types_N", torch.tensor(types), persistent=False)

    def forward(self, reference_BTH: Tensor, speech_B1H: Tensor, source_BTH: Tensor) -> Tensor:
        """Mix the three streams; both frame streams count their positions from 0."""
        tokens = [self.position_r(reference_BTH), speech_B1H, self.position_e(source_BTH)]
        tokens_BNH = self.dropout(torch.cat(tokens, 1) + self.modality(self.types_N))
        *layers, last = self.transformer_encoder.layers
        for layer in layers:
            tokens_BNH = layer(tokens_BNH)
        return _last_tokens(last, tokens_BNH, self.window)


def _last_tokens(layer: nn.TransformerEncoderLayer, tokens_BNH: Tensor, num_tokens: int) -> Tensor:
    """What the layer gives for the last tokens: the others are only looked at, so nothing else is computed of them."""
    last_BTH = tokens_BNH[:, -num_tokens:]
    seen_BTH, _ = layer.self_attn(last_BTH, tokens_BNH, tokens_BNH, need_weights=False)
    last_BTH = layer.norm1(last_BTH + layer.dropout1(seen_BTH))
    widened = layer.dropout(layer.activation(layer.linear1(last_BTH)))
    return layer.norm2(last_BTH + layer.dropout2(layer.linear2(widened)))


class Head(nn.Module):
    """Linear, GELU, linear; its hidden width equals the expression width."""

    def __init__(self, hidden: int, expression_width: int) -> None:
        """Map H to D."""
        super().__init__()
        self.projector = nn.Sequential(
            nn.Linear(hidden, expression_width), nn.GELU(), nn.Linear(expression_width, expression_width)
        )

    def forward(self, fused_BTH: Tensor) -> Tensor:
        """Delta of each frame, shape (B, T, D)."""
        return self.projector(fused_BTH)


def _draw_linear(module: nn.Module) -> None:
    # attention output projections are linear layers too; its input weights keep torch's own values,
    # equal in all layers because the layers are copies
    if isinstance(module, nn.Linear):
        nn.init.xavier_normal_(module.weight)
        nn.init.zeros_(module.bias)
