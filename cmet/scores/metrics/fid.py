"""FID: how far the frames of edited clips are from those of the true clips, in features of Inception v3.

As in the paper: every frame, the 2048 features of the last pooling, the weights of pytorch-fid, and per row the
distance between one edited clip and its one true clip (`fid/pairwise-mean`). `fid/distribution` compares all frames of
the set.

Differs from the paper: its script writes every frame to jpg first and reads that; here frames go from the video
straight to the network. Frames are resized and scaled as in pytorch-fid, which the authors' script is built on: to 299
pixels with plain bilinear interpolation (half-pixel centres, no smoothing), then to [-1, 1]. The network is that of
torch-fidelity, which by itself would resize and scale a little differently.
"""

# N frames, H height, W width, P side of a picture in pixels (299)

import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cmet.environment import best_device
from cmet.errors import ClipError
from cmet.media.video import VideoFile
from cmet.scores.metrics.frechet import (
    DISTRIBUTION,
    PAIRWISE_MEAN,
    count_threads,
    distance_of_sets,
    measure_pairs,
)
from cmet.scores.metrics.metric import Measured, Shown
from cmet.weights.identify import load_weights

PICTURE_PX = 299
FRAMES_AT_ONCE = 32
BYTES_AT_ONCE = 256 << 20
"""Of frames of more than 1080p there are fewer; they take four times as much while they are made smaller."""


class FrechetInceptionDistance:
    """FID of both kinds."""

    NAMES = (f"fid/{PAIRWISE_MEAN}", f"fid/{DISTRIBUTION}")
    WEIGHTS = ("fid-inception",)
    IS_OF_SETS = True

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        """Take the network of `pooled_inception`; it is switched to inference."""
        self.network = network.eval().to(device)
        self.device = device

    @classmethod
    def load(cls, weights: Path) -> "FrechetInceptionDistance":
        """See `Metric`."""
        return cls(pooled_inception(load_weights(cls.WEIGHTS[0], weights)), best_device())

    def measure(self, clips: Sequence[Shown], label: str) -> Measured:
        """See `Metric`."""
        return measure_pairs(
            clips, label, self.NAMES, self.features_of_clip, distance_of_sets, count_threads(self.device)
        )

    def features_of_clip(self, path: Path) -> np.ndarray:
        """Features of every frame, shape (N, 2048).

        Raises:
            ClipError: The video cannot be read, or has one frame only, whose spread is not known.
        """
        video = VideoFile(path)
        if len(video) < 2:
            raise ClipError("too_short", f"{path.name} has one frame, but the spread of its features needs two")
        return np.concatenate([self.features(batch) for batch in _batches(video)])

    def features(self, frames_NHWC: np.ndarray) -> np.ndarray:
        """Features of RGB uint8 frames of any size, shape (N, 2048), float32."""
        with torch.inference_mode():
            pictures_N3PP = inception_pictures(torch.from_numpy(frames_NHWC).to(self.device))
            return self.network(pictures_N3PP).flatten(1).cpu().numpy()


def inception_pictures(frames_NHWC: Tensor) -> Tensor:
    """Frames as the network of pytorch-fid gets them, shape (N, 3, 299, 299), values -1 to 1.

    Source: pytorch-fid, `InceptionV3.forward` and the `ToTensor` before it.
    """
    unit_N3HW = frames_NHWC.permute(0, 3, 1, 2).float() / 255
    return 2 * functional.interpolate(unit_N3HW, (PICTURE_PX, PICTURE_PX), mode="bilinear", align_corners=False) - 1


def pooled_inception(state: Mapping[str, Tensor]) -> nn.Sequential:
    """FID's Inception v3 from pictures to the average of its last maps, shape (N, 2048, 1, 1).

    Args:
        state: All tensors of the published file.
    """
    from torch_fidelity.feature_extractor_inceptionv3 import (
        FeatureExtractorInceptionV3,
    )

    # the class unpickles what it is given, whatever is in there: so it gets bytes that we wrote, not the file
    checked = io.BytesIO()
    torch.save(dict(state), checked)
    checked.seek(0)
    whole = FeatureExtractorInceptionV3("inception-v3", ["2048"], feature_extractor_weights_path=checked)
    # its layers follow each other as they are listed; without the classifier at the end
    return nn.Sequential(*list(whole.children())[:-1])


def _batches(video: VideoFile) -> Iterator[np.ndarray]:
    frames = video.frames_at(range(len(video)))
    at_once = max(1, min(FRAMES_AT_ONCE, BYTES_AT_ONCE // (3 * video.width * video.height)))
    while batch := list(islice(frames, at_once)):
        yield np.stack(batch)
