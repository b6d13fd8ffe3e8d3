"""Each loss and its gradients against the published ones."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from fill import integers, normal
from torch import Tensor
from torch.nn import functional

from cmet.connector import losses

GOLDEN = np.load(Path(__file__).parent / "losses.npz")
LABELS_40 = integers("loss/labels40", (40,), 0, 8)
LABELS_8 = integers("loss/labels8", (8,), 0, 8)

ON_FRAMES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "focal_sigmoid_0.2_1": losses.focal_loss,
    "focal_tanh_0.2_1": lambda x, y: losses.focal_loss(x, y, gate="tanh"),
    "focal_sigmoid_1.0_2": lambda x, y: losses.focal_loss(x, y, beta=1.0, gamma=2.0),
    "mse": functional.mse_loss,
    "wmse": lambda x, y: losses.weighted_loss(x, y, LABELS_40),
    "bmse": lambda x, y: losses.balanced_loss(x, y, torch.tensor(8.0)),
    "direction": losses.direction_loss,
}
ON_EMBEDDINGS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "contrastive": lambda x, y: losses.contrastive_loss(x, y, LABELS_8),
    "contrastive_distinct_labels": lambda x, y: losses.contrastive_loss(x, y, torch.arange(8)),
    "contrastive_one_label": lambda x, y: losses.contrastive_loss(x, y, torch.zeros(8, dtype=torch.long)),
}


def test_labels_are_the_stored_ones() -> None:
    assert LABELS_40.tolist() == GOLDEN["labels40"].tolist()
    assert LABELS_8.tolist() == GOLDEN["labels8"].tolist()


@pytest.mark.parametrize("name", [*ON_FRAMES, *ON_EMBEDDINGS])
def test_value_and_gradients_are_the_published_ones(name: str) -> None:
    if name in ON_FRAMES:
        function = ON_FRAMES[name]
        inputs = [normal("loss/pred", (40, 10), 0.4), normal("loss/target", (40, 10), 0.4)]
    else:
        function = ON_EMBEDDINGS[name]
        inputs = [normal("loss/visual", (8, 1024), 0.5), normal("loss/audio", (8, 1024), 1.0)]
    first, second = (tensor.requires_grad_() for tensor in inputs)
    value = function(first, second)
    value.backward()
    assert value.item() == pytest.approx(float(GOLDEN[name]), rel=1e-5)
    norms = [float(tensor.grad.norm()) for tensor in (first, second) if tensor.grad is not None]
    assert norms == pytest.approx(GOLDEN[f"{name}/grad_norm"].tolist(), rel=1e-5)


def test_gradient_of_the_trained_spread_is_the_published_one() -> None:
    spread = torch.tensor(8.0, requires_grad=True)
    losses.balanced_loss(normal("loss/pred", (40, 10), 0.4), normal("loss/target", (40, 10), 0.4), spread).backward()
    assert spread.grad is not None
    # float32 on both sides: the logits nearly cancel
    assert float(spread.grad) == pytest.approx(float(GOLDEN["bmse/grad_sigma"]), rel=1e-3)
