"""The three losses of C-MET, as functions of tensors.

Legend: B batch, T frames of a window, M rows (B·T frames), D expression width, H hidden width.

Source: ChanHyeok-Choi/C-MET at bd384ac, the losses of its training loop.
"""

from functools import cache
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from cmet.connector.network import Prediction
from cmet.params import TrainParams
from cmet.vocabulary import EMOTIONS

FOCAL_BETA = 0.2
FOCAL_GAMMA = 1.0
TEMPERATURE = 0.1
FIRST_SPREAD = 8.0
"""Where the trained sigma of `bmse` starts."""

CLASS_WEIGHTS = {
    "angry": 0.5,
    "contempt": 1.0,
    "disgusted": 0.5,
    "fear": 1.0,
    "happy": 2.0,
    "neutral": 0.1,
    "sad": 1.0,
    "surprised": 2.0,
}
"""Weights of `wmse`."""

TINY = 1e-12


class LossTerms(NamedTuple):
    """The terms of one batch, unweighted, and their weighted sum."""

    regression: Tensor
    contrastive: Tensor
    direction: Tensor
    total: Tensor

    def values(self) -> dict[str, float]:
        """Plain numbers by name; waits for the device once."""
        return dict(zip(self._fields, torch.stack([*self]).tolist(), strict=True))


def loss_terms(
    forward: Prediction,
    backward: Prediction,
    delta_BTD: Tensor,
    labels_B: Tensor,
    first_labels_B: Tensor,
    params: TrainParams,
    spread: Tensor,
) -> LossTerms:
    """All terms of a batch.

    Args:
        forward: The pass from emotion 1 to emotion 2.
        backward: The pass from emotion 2 to emotion 1, with reference and speech delta negated.
        delta_BTD: True delta from emotion 1 to emotion 2.
        labels_B: Index of emotion 2.
        first_labels_B: Index of emotion 1.
        params: Which regression, one or both passes in it, the weights, and which quirks are corrected.
        spread: Sigma of `bmse`, a scalar; unused by the other regressions.
    """
    num_frames = delta_BTD.shape[1]
    target_MD = delta_BTD.flatten(0, 1)
    ahead_MD, back_MD = forward.delta_BTD.flatten(0, 1), backward.delta_BTD.flatten(0, 1)

    labels_M = labels_B.repeat_interleave(num_frames)
    regression = regression_loss(params.reconstruction, ahead_MD, target_MD, labels_M, spread)
    if params.direction == "bidir":
        back_labels_B = labels_B if params.wmse_backward_label == "second" else first_labels_B
        back_labels_M = back_labels_B.repeat_interleave(num_frames)
        regression = regression + regression_loss(params.reconstruction, back_MD, -target_MD, back_labels_M, spread)

    visual_delta_BH = (backward.source_BTH - forward.source_BTH).mean(1)
    if params.contrastive_signs == "equal":
        visual_delta_BH = -visual_delta_BH
    contrastive = 0.5 * (
        contrastive_loss(-visual_delta_BH, forward.speech_B1H.squeeze(1), labels_B)
        + contrastive_loss(visual_delta_BH, backward.speech_B1H.squeeze(1), labels_B)
    )
    direction = direction_loss(ahead_MD, back_MD)
    total = regression + params.contrastive_weight * contrastive + params.direction_weight * direction
    return LossTerms(regression, contrastive, direction, total)


def regression_loss(
    kind: Literal["focal", "mse", "wmse", "bmse"],
    predicted_MD: Tensor,
    target_MD: Tensor,
    labels_M: Tensor,
    spread: Tensor,
) -> Tensor:
    """The regression that params.yaml names."""
    match kind:
        case "focal":
            return focal_loss(predicted_MD, target_MD)
        case "mse":
            return functional.mse_loss(predicted_MD, target_MD)
        case "wmse":
            return weighted_loss(predicted_MD, target_MD, labels_M)
        case "bmse":
            return balanced_loss(predicted_MD, target_MD, spread)


def focal_loss(
    predicted_MD: Tensor,
    target_MD: Tensor,
    beta: float = FOCAL_BETA,
    gamma: float = FOCAL_GAMMA,
    gate: Literal["sigmoid", "tanh"] = "sigmoid",
) -> Tensor:
    """Squared error, times a gate that closes for small errors and is trained through."""
    error_MD = (predicted_MD - target_MD).abs()
    gate_MD = 2 * torch.sigmoid(beta * error_MD) - 1 if gate == "sigmoid" else torch.tanh(beta * error_MD)
    return (error_MD**2 * gate_MD**gamma).mean()


def weighted_loss(predicted_MD: Tensor, target_MD: Tensor, labels_M: Tensor) -> Tensor:
    """Squared error with a weight per emotion."""
    weights = _class_weights(predicted_MD.device, predicted_MD.dtype)
    return (weights[labels_M] * ((predicted_MD - target_MD) ** 2).mean(-1)).mean()


@cache
def _class_weights(device: torch.device, dtype: torch.dtype) -> Tensor:
    """By index of the emotion; kept, since a copy to the device waits for it."""
    return torch.tensor([CLASS_WEIGHTS[emotion] for emotion in EMOTIONS], device=device, dtype=dtype)


def balanced_loss(predicted_MD: Tensor, target_MD: Tensor, spread: Tensor) -> Tensor:
    """Cross entropy of finding each row's own target among all targets of the batch.

    The logit of target t for row x is log N(t; x, spread² I); what is equal for all t is left out. Unlike the
    balanced MSE it comes from, it is not scaled back by 2 spread².
    """
    logits_MM = (predicted_MD @ target_MD.T - 0.5 * (target_MD**2).sum(-1)) / spread**2
    return functional.cross_entropy(logits_MM, torch.arange(len(logits_MM), device=logits_MM.device))


def contrastive_loss(visual_BH: Tensor, speech_BH: Tensor, labels_B: Tensor) -> Tensor:
    """Supervised contrastive loss over the rows of both, joined: equal labels attract.

    Per anchor, the mean log-probability of the other rows with its label among all other rows.
    """
    rows = functional.normalize(torch.cat([visual_BH, speech_BH]), dim=-1)
    labels = labels_B.repeat(2)
    similarity = rows @ rows.T / TEMPERATURE
    similarity = similarity - similarity.max(1, keepdim=True).values.detach()
    is_other = ~torch.eye(len(rows), dtype=torch.bool, device=rows.device)
    log_probability = similarity - torch.log((similarity.exp() * is_other).sum(1, keepdim=True) + TINY)
    is_positive = is_other & (labels[:, None] == labels[None])
    return -((log_probability * is_positive).sum(1) / (is_positive.sum(1) + TINY)).mean()


def direction_loss(ahead_MD: Tensor, back_MD: Tensor) -> Tensor:
    """How far the two passes are from pointing in opposite directions; 0 is opposite, 4 is the same."""
    return ((1 + functional.cosine_similarity(ahead_MD, back_MD, dim=-1)) ** 2).mean()
