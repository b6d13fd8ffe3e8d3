"""Networks whose weights come from a published file."""

from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from cmet.weights.identify import load_weights

AnyNetwork = TypeVar("AnyNetwork", bound=nn.Module)


def load_network(kind: type[AnyNetwork], name: str, folder: Path | None = None) -> AnyNetwork:
    """One network in eval mode, with the weights of a registered checkpoint.

    Args:
        kind: Its class. What is in no file must not be made by torch's constructors: here they give no content.
        name: The checkpoint's name in the registry.
        folder: Where to look; the project's folder of weights when None.

    Raises:
        UserError: The file is missing, cannot be read, is another checkpoint or holds values that are not finite.
    """
    weights = load_weights(name, folder)
    # without memory of its own: the tensors of the file take the place of the initial ones
    with torch.device("meta"):
        network = kind()
    # what a right file may lack takes part in no result
    state = {
        key: weights[key].to(own.dtype) if key in weights else torch.zeros(own.shape, dtype=own.dtype, device="cpu")
        for key, own in network.state_dict().items()
    }
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)


def unit_normal(*shape: int) -> Tensor:
    """Initial weights; on the meta device without content."""
    weights = torch.empty(shape)
    # drawing on the meta device does nothing, and imports torch's compiler for two seconds
    return weights if weights.is_meta else weights.normal_()
