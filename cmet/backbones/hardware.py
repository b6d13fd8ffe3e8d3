"""Where networks run, and how precisely."""

import torch

from cmet.params import InferenceParams

NUM_WORKERS_ON_GPU = 2
"""One decodes and writes video while the other computes."""


def best_device() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def autocast_type(inference: InferenceParams, device: torch.device) -> torch.dtype | None:
    """The lower precision of heavy layers; None is float32, as always on a CPU."""
    if device.type == "cpu" or inference.precision == "float32":
        return None
    return {"bfloat16": torch.bfloat16, "float16": torch.float16}[inference.precision]


def count_network_workers() -> int | None:
    """Processes that run networks side by side: one per core, or few where they share a GPU."""
    return NUM_WORKERS_ON_GPU if torch.cuda.is_available() else None
