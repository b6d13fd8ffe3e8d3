"""I3D: Inception v1 with its kernels inflated into time, for the RGB frames of Kinetics-400.

Source: Carreira and Zisserman, arXiv 1705.07750, figure 3; names of the tensors as in piergiaj/pytorch-i3d, which
`i3d_pretrained_400.pt` has, too. Everything is padded as with TensorFlow's SAME. The constant of batch norm is 0.001,
the default of Sonnet, in which DeepMind wrote the network; VideoGPT's copy of the network has 0.00001.
"""

# N clips, C channels, T frames, H height, W width

import torch
from torch import Tensor, nn
from torch.nn import functional

NUM_LABELS = 400
BATCH_NORM_EPSILON = 1e-3

VideoSize = tuple[int, int, int]
"""Of a kernel or a step: time, height, width."""

BLOCKS: dict[str, tuple[int, int, int, int, int, int]] = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}
"""Channels of each block in their order, as `InceptionBlock` takes them."""

POOLED_BEFORE: dict[str, tuple[VideoSize, VideoSize]] = {
    "Mixed_3b": ((1, 3, 3), (1, 2, 2)),
    "Mixed_4b": ((3, 3, 3), (2, 2, 2)),
    "Mixed_5b": ((2, 2, 2), (2, 2, 2)),
}
"""Kernel and step of the pooling that comes before a block."""


class I3D(nn.Module):
    """The network, from clips to logits."""

    def __init__(self) -> None:
        """Draw initial weights; the names are those of the published conversion."""
        super().__init__()
        self.Conv3d_1a_7x7 = VideoUnit(3, 64, (7, 7, 7), (2, 2, 2))
        self.Conv3d_2b_1x1 = VideoUnit(64, 64)
        self.Conv3d_2c_3x3 = VideoUnit(64, 192, (3, 3, 3))
        num_in = 192
        for name, channels in BLOCKS.items():
            block = InceptionBlock(num_in, *channels)
            self.add_module(name, block)
            num_in = block.num_out
        self.logits = nn.ModuleDict({"conv3d": nn.Conv3d(num_in, NUM_LABELS, 1)})

    def forward(self, clips_N3THW: Tensor) -> Tensor:
        """Logits of clips with values -1 to 1, at least 9 frames of 193 x 193 pixels, shape (N, 400)."""
        maps = pool_same(self.Conv3d_1a_7x7(clips_N3THW), (1, 3, 3), (1, 2, 2))
        maps = self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(maps))
        for name in BLOCKS:
            if name in POOLED_BEFORE:
                maps = pool_same(maps, *POOLED_BEFORE[name])
            maps = self.get_submodule(name)(maps)
        return self.logits["conv3d"](functional.avg_pool3d(maps, (2, 7, 7), stride=1)).mean((2, 3, 4))


class VideoUnit(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, num_in: int, num_out: int, kernel: VideoSize = (1, 1, 1), step: VideoSize = (1, 1, 1)) -> None:
        """Map num_in channels to num_out."""
        super().__init__()
        self.kernel, self.step = kernel, step
        self.conv3d = nn.Conv3d(num_in, num_out, kernel, step, bias=False)
        self.bn = nn.BatchNorm3d(num_out, eps=BATCH_NORM_EPSILON)

    def forward(self, maps_NCTHW: Tensor) -> Tensor:
        """Maps of num_out channels."""
        return torch.relu(self.bn(self.conv3d(pad_same(maps_NCTHW, self.kernel, self.step))))


class InceptionBlock(nn.Module):
    """Four branches side by side: 1x1x1; 1x1x1 and 3x3x3; the same again, narrower; pooling and 1x1x1."""

    def __init__(
        self, num_in: int, plain: int, narrow: int, wide: int, narrower: int, less_wide: int, pooled: int
    ) -> None:
        """Make the branches, whose outputs are stacked in this order: plain, wide, less wide, pooled."""
        super().__init__()
        self.num_out = plain + wide + less_wide + pooled
        self.b0 = VideoUnit(num_in, plain)
        self.b1a = VideoUnit(num_in, narrow)
        self.b1b = VideoUnit(narrow, wide, (3, 3, 3))
        self.b2a = VideoUnit(num_in, narrower)
        self.b2b = VideoUnit(narrower, less_wide, (3, 3, 3))
        self.b3b = VideoUnit(num_in, pooled)

    def forward(self, maps_NCTHW: Tensor) -> Tensor:
        """Maps of num_out channels, as long, high and wide as before."""
        pooled = pool_same(maps_NCTHW, (3, 3, 3), (1, 1, 1))
        branches = (
            self.b0(maps_NCTHW),
            self.b1b(self.b1a(maps_NCTHW)),
            self.b2b(self.b2a(maps_NCTHW)),
            self.b3b(pooled),
        )
        return torch.cat(branches, dim=1)


def pool_same(maps_NCTHW: Tensor, kernel: VideoSize, step: VideoSize) -> Tensor:
    """Largest values under a kernel; the padding counts as 0, which is no more than any value after a ReLU."""
    return functional.max_pool3d(pad_same(maps_NCTHW, kernel, step), kernel, step)


def pad_same(maps_NCTHW: Tensor, kernel: VideoSize, step: VideoSize) -> Tensor:
    """Maps with as many zeros around that a kernel fits once per step, the odd one after the end.

    Source: TensorFlow's documentation of the padding SAME.
    """
    pads: list[int] = []
    # functional.pad begins with the last dimension
    for length, size, stride in zip(maps_NCTHW.shape[:1:-1], kernel[::-1], step[::-1], strict=True):
        num_zeros = max(0, (-(-length // stride) - 1) * stride + size - length)
        pads += [num_zeros // 2, num_zeros - num_zeros // 2]
    return functional.pad(maps_NCTHW, pads)
