"""SyncNet: features of five lip pictures and of the fifth of a second of sound that belongs to them, near in step.

Legend: F pictures, N windows, P side of a picture in pixels (224), C cepstral coefficients (13), M their columns in a
window (20), D features (1024).

Source: joonson/syncnet_python, SyncNetModel.py (Chung and Zisserman, "Out of time: automated lip sync in the wild").
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from cmet.weights.identify import load_weights

NUM_FEATURES = 1024
NUM_HIDDEN = 512
PICTURES_PER_WINDOW = 5

KernelSize = tuple[int, ...]


class UnitPlan(NamedTuple):
    """A convolution with batch norm and ReLU, and what follows it under a number of its own."""

    num_out: int
    kernel: KernelSize
    stride: KernelSize
    padding: KernelSize
    pool: nn.Module | None = None


class SyncNet(nn.Module):
    """Both halves. Names and their numbers are those of the published state dict."""

    def __init__(self) -> None:
        """Draw initial weights."""
        super().__init__()
        self.netcnnaud = _stack(nn.Conv2d, nn.BatchNorm2d, 1, _voice_units())
        self.netfcaud = _head()
        self.netfclip = _head()
        self.netcnnlip = _stack(nn.Conv3d, nn.BatchNorm3d, 3, _lip_units())

    def voice(self, cepstra_N1CM: Tensor) -> Tensor:
        """Features of windows of sound, shape (N, D)."""
        return self.netfcaud(self.netcnnaud(cepstra_N1CM).flatten(1))

    def lips(self, pictures_3FPP: Tensor) -> Tensor:
        """Features of the windows that begin at each picture but the last four, shape (F - 4, D).

        Args:
            pictures_3FPP: Consecutive pictures, blue, green and red from 0 to 255.
        """
        # only the first layer looks along time, so it goes over all windows without a copy of their pictures
        maps_DN = self.netcnnlip(pictures_3FPP[None])[0, :, :, 0, 0]
        return self.netfclip(maps_DN.T)


def load_syncnet(folder: Path | None = None) -> SyncNet:
    """The published network in eval mode.

    Args:
        folder: Where `syncnet_v2.model` lies; the folder of all weights when None.

    Raises:
        UserError: The file is missing, cannot be read or is another checkpoint.
    """
    network = SyncNet()
    # not strict, for the counters of batch norm, which change nothing; that the rest is whole has been checked
    network.load_state_dict(load_weights("syncnet", folder), strict=False)
    return network.eval().requires_grad_(False)


def _voice_units() -> Sequence[UnitPlan]:
    one, pad = (1, 1), (1, 1)
    return (
        # published with a pool of one value, which takes a number
        UnitPlan(64, (3, 3), one, pad, nn.Identity()),
        UnitPlan(192, (3, 3), one, pad, nn.MaxPool2d(3, (1, 2))),
        UnitPlan(384, (3, 3), one, pad),
        UnitPlan(256, (3, 3), one, pad),
        UnitPlan(256, (3, 3), one, pad, nn.MaxPool2d(3, 2)),
        UnitPlan(512, (5, 4), one, (0, 0)),
    )


def _lip_units() -> Sequence[UnitPlan]:
    one, two, none, pad = (1, 1, 1), (1, 2, 2), (0, 0, 0), (0, 1, 1)
    return (
        UnitPlan(96, (PICTURES_PER_WINDOW, 7, 7), two, none, nn.MaxPool3d((1, 3, 3), two)),
        UnitPlan(256, (1, 5, 5), two, pad, nn.MaxPool3d((1, 3, 3), two, pad)),
        UnitPlan(256, (1, 3, 3), one, pad),
        UnitPlan(256, (1, 3, 3), one, pad),
        UnitPlan(256, (1, 3, 3), one, pad, nn.MaxPool3d((1, 3, 3), two)),
        UnitPlan(512, (1, 6, 6), one, none),
    )


def _stack(
    convolution: type[nn.Conv2d] | type[nn.Conv3d],
    norm: type[nn.BatchNorm2d] | type[nn.BatchNorm3d],
    num_in: int,
    units: Sequence[UnitPlan],
) -> nn.Sequential:
    layers: list[nn.Module] = []
    for unit in units:
        kernel, stride, padding = unit.kernel, unit.stride, unit.padding
        # mypy cannot know that sizes have as many axes as the kind of convolution
        layers += [convolution(num_in, unit.num_out, kernel, stride, padding), norm(unit.num_out), nn.ReLU()]  # type: ignore[arg-type]
        layers += [unit.pool] if unit.pool is not None else []
        num_in = unit.num_out
    return nn.Sequential(*layers)


def _head() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(NUM_HIDDEN, NUM_HIDDEN), nn.BatchNorm1d(NUM_HIDDEN), nn.ReLU(), nn.Linear(NUM_HIDDEN, NUM_FEATURES)
    )
