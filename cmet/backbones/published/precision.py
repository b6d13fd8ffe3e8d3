"""How precisely networks compute."""

import torch

from cmet.params import InferenceParams


def autocast_type(inference: InferenceParams, device: torch.device) -> torch.dtype | None:
    """The lower precision of heavy layers; None is float32, as always on a CPU."""
    if device.type == "cpu" or inference.precision == "float32":
        return None
    return {"bfloat16": torch.bfloat16, "float16": torch.float16}[inference.precision]
