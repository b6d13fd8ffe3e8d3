"""Expression directions of a whole clip, window after window."""

import numpy as np
import torch
from torch import Tensor

from cmet.connector.network import Connector

# B batch, N frames of a clip, T frames of a window, S speech features, K expression components


def predict_directions(
    connector: Connector, speech_direction_S: np.ndarray, codes_NK: np.ndarray, drop_tail: bool = False
) -> np.ndarray:
    """Direction to add to each expression code, shape (N, K), float32.

    Differs from the published code unless `drop_tail` is set: a last part shorter than a window is filled up with
    its last frame and predicted too.

    Args:
        connector: In eval mode.
        speech_direction_S: Speech direction, scaled as in training.
        codes_NK: Expression codes of one clip, at least one frame.
        drop_tail: Leave out the last N mod T frames, so that the result is shorter.

    Raises:
        ValueError: A shape does not fit the connector, or there is no frame.
    """
    if speech_direction_S.shape != (connector.speech_width,):
        raise ValueError(f"speech direction: expected ({connector.speech_width},), got {speech_direction_S.shape}")
    if codes_NK.ndim != 2 or codes_NK.shape[1] != connector.expression_width or not len(codes_NK):
        raise ValueError(f"codes: expected (frames, {connector.expression_width}), got {codes_NK.shape}")
    if drop_tail:
        codes_NK = codes_NK[: len(codes_NK) - len(codes_NK) % connector.window]
        if not len(codes_NK):
            return np.zeros((0, connector.expression_width), np.float32)
    speech_1S = torch.from_numpy(speech_direction_S[None].astype(np.float32))
    codes_1NK = torch.from_numpy(codes_NK[None].astype(np.float32))
    return roll_out(connector, speech_1S, codes_1NK)[0].cpu().numpy()


@torch.inference_mode()
def roll_out(connector: Connector, speech_BS: Tensor, codes_BNK: Tensor) -> Tensor:
    """Directions of several clips of one length, shape (B, N, K), on the connector's device.

    The reference of a window is what was predicted for the one before it, zeros for the first.
    """
    device = connector.Norm.weight.device
    speech_B1S = speech_BS.to(device)[:, None]
    num_frames = codes_BNK.shape[1]
    num_missing = -num_frames % connector.window
    codes_BNK = torch.cat([codes_BNK, codes_BNK[:, -1:].expand(-1, num_missing, -1)], 1).to(device)
    reference_BTK = torch.zeros_like(codes_BNK[:, : connector.window])
    directions = []
    for source_BTK in codes_BNK.split(connector.window, 1):
        reference_BTK = connector(reference_BTK, speech_B1S, source_BTK).direction_BTD
        directions.append(reference_BTK)
    return torch.cat(directions, 1)[:, :num_frames]
