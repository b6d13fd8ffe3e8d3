"""How precisely networks compute."""

import torch
from torch import Tensor

from cmet.errors import UserError
from cmet.params import InferenceParams


def autocast_type(inference: InferenceParams, device: torch.device) -> torch.dtype | None:
    """The lower precision of heavy layers; None is float32, as always on a CPU."""
    if device.type == "cpu" or inference.precision == "float32":
        return None
    return {"bfloat16": torch.bfloat16, "float16": torch.float16}[inference.precision]


def levels(pictures_B3HW: Tensor) -> Tensor:
    """Pictures in [-1, 1] as uint8 from 0 to 255; what is beyond is clamped.

    Raises:
        UserError: As `refuse_nan`.
    """
    refuse_nan(pictures_B3HW)
    return ((pictures_B3HW.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def refuse_nan(pictures_B3HW: Tensor) -> None:
    """Look at what a network has drawn.

    Raises:
        UserError: There are values that are no numbers.
    """
    if bool(pictures_B3HW.isnan().any()):
        raise UserError(
            "the network draws values that are no numbers: its weights or the codes are damaged, or float16 is too "
            "narrow for it (set inference.precision to bfloat16 or float32)"
        )
