"""Making one vector of the frames of a sound."""

from typing import TYPE_CHECKING

import numpy as np

from cmet.params import Pooling

if TYPE_CHECKING:
    from torch import Tensor


def pooled(frames_TD: "Tensor", pooling: Pooling) -> np.ndarray:
    """Mean over the frames, shape (D,), or mean and standard deviation, shape (2 D,); float32.

    The standard deviation is that of these frames (divided by T), so that a single frame has one, too.
    """
    mean_D = frames_TD.mean(dim=0).numpy()
    if pooling == "mean":
        return mean_D
    return np.concatenate([mean_D, frames_TD.std(dim=0, correction=0).numpy()])
