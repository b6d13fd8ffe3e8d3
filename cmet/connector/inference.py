"""Expression deltas of a whole clip, window after window."""

import numpy as np
import torch
from torch import Tensor

from cmet.connector.network import Connector
from cmet.connector.threads import fitting_threads
from cmet.errors import UserError

# B batch, N frames of a clip, T frames of a window, W windows of a clip, S speech features, K expression components


MAX_DELTA = 1000.0
"""In units of the codes, whose typical emotional change is about 1."""


def predict_deltas(
    connector: Connector, speech_delta: np.ndarray, codes_NK: np.ndarray, drop_tail: bool = False
) -> np.ndarray:
    """Delta to add to each expression code, shape (N, K), float32.

    Differs from the published code unless `drop_tail` is set: a last part shorter than a window is filled up with
    its last frame and predicted too.

    Args:
        connector: In eval mode.
        speech_delta: Scaled as in training; shape (S,), or (W, S) with one for each window of the result, of which
            the last may be a part.
        codes_NK: Expression codes of one clip, at least one frame.
        drop_tail: Leave out the last N mod T frames, so that the result is shorter.

    Raises:
        ValueError: A shape does not fit the connector, or there is no frame.
        UserError: The weights lead to deltas that are no numbers, or so large that no face follows them.
    """
    if codes_NK.ndim != 2 or codes_NK.shape[1] != connector.expression_width or not len(codes_NK):
        raise ValueError(f"codes: expected (frames, {connector.expression_width}), got {codes_NK.shape}")
    if drop_tail:
        codes_NK = codes_NK[: len(codes_NK) - len(codes_NK) % connector.window]
    shapes = ((connector.speech_width,), (num_windows(connector, len(codes_NK)), connector.speech_width))
    if speech_delta.shape not in shapes:
        raise ValueError(f"speech delta: expected {shapes[0]} or {shapes[1]}, got {speech_delta.shape}")
    if not len(codes_NK):
        return np.zeros((0, connector.expression_width), np.float32)
    speech = torch.from_numpy(speech_delta[None].astype(np.float32))
    codes_1NK = torch.from_numpy(codes_NK[None].astype(np.float32))
    with fitting_threads(connector.hidden):
        delta_NK = roll_out(connector, speech, codes_1NK)[0].cpu().numpy()
    # not the other way round: NaN is not greater than anything
    if not np.all(np.abs(delta_NK) <= MAX_DELTA):
        raise UserError(
            f"the model predicts expression deltas that are no numbers, or beyond {MAX_DELTA:,.0f} where 1 is usual: "
            "its weights are damaged, or clip and speech are unlike all that it was trained on; use another model"
        )
    return delta_NK


def num_windows(connector: Connector, num_frames: int) -> int:
    """Windows of a clip; the last may be a part of one."""
    return -(-num_frames // connector.window)


@torch.inference_mode()
def roll_out(connector: Connector, speech: Tensor, codes_BNK: Tensor) -> Tensor:
    """Expression deltas of several clips of one length, shape (B, N, K), on the connector's device.

    The reference of a window is what was predicted for the one before it, zeros for the first.

    Args:
        connector: In eval mode.
        speech: Scaled speech deltas, shape (B, S), or (B, W, S) with one for each window.
        codes_BNK: Expression codes.
    """
    device = connector.Norm.weight.device
    speech = speech.to(device)
    num_frames = codes_BNK.shape[1]
    num_missing = -num_frames % connector.window
    codes_BNK = torch.cat([codes_BNK, codes_BNK[:, -1:].expand(-1, num_missing, -1)], 1).to(device)
    reference_BTK = torch.zeros_like(codes_BNK[:, : connector.window])
    sources = codes_BNK.split(connector.window, 1)
    speech_BWS = speech[:, None].expand(-1, len(sources), -1) if speech.ndim == 2 else speech
    deltas = []
    for source_BTK, speech_B1S in zip(sources, speech_BWS.split(1, 1), strict=True):
        reference_BTK = connector(reference_BTK, speech_B1S, source_BTK).delta_BTD
        deltas.append(reference_BTK)
    return torch.cat(deltas, 1)[:, :num_frames]
