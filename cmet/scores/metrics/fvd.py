"""FVD: how far edited clips are from the true clips, in what I3D sees in each as a whole.

As in the paper: 15 frames of a clip, the 400 logits of I3D trained on Kinetics-400, and per row the distance between
one edited clip and its one true clip (`fvd/pairwise-mean`). For that the paper repeats the single clip 16 times to fill
a batch; nothing varies in it, so the covariances are zero and the value is the squared distance of two vectors of
logits. `fvd/distribution` compares the logits of all clips of the set.

Differs from the paper: its script runs the TF-Hub module deepmind/i3d-kinetics-400/1 in TensorFlow; here a torch
network runs the converted weights, and the two were not compared. Frames are resized as in the code that FVD was
published with (google-research, frechet_video_distance): to 224 pixels, sides by themselves, with the bilinear
interpolation of TensorFlow 1 (no half-pixel centres, no smoothing), then scaled to [-1, 1].
"""

# N clips, T frames of each (15), P side of a frame in pixels (224), F features (400)

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cmet.environment import best_device
from cmet.media.video import VideoFile
from cmet.scores.metrics.frechet import (
    DISTRIBUTION,
    PAIRWISE_MEAN,
    count_threads,
    distance_of_sets,
    measure_pairs,
)
from cmet.scores.metrics.i3d import I3D
from cmet.scores.metrics.metric import Measured, Shown
from cmet.weights.identify import load_weights

NUM_FRAMES = 15
FRAME_PX = 224
NUM_COPIES = 16


class FrechetVideoDistance:
    """FVD of both kinds."""

    NAMES = (f"fvd/{PAIRWISE_MEAN}", f"fvd/{DISTRIBUTION}")
    WEIGHTS = ("fvd-i3d",)
    IS_OF_SETS = True

    def __init__(self, network: I3D, device: torch.device) -> None:
        """Take a network as it is; it is switched to inference."""
        self.network = network.eval().to(device)
        self.device = device

    @classmethod
    def load(cls, weights: Path) -> "FrechetVideoDistance":
        """See `Metric`."""
        network = I3D()
        network.load_state_dict(load_weights(cls.WEIGHTS[0], weights))
        return cls(network, best_device())

    def measure(self, clips: Sequence[Shown], label: str) -> Measured:
        """See `Metric`."""
        return measure_pairs(
            clips, label, self.NAMES, self.features_of_clip, distance_of_clips, count_threads(self.device)
        )

    def features_of_clip(self, path: Path) -> np.ndarray:
        """Logits of a clip, shape (1, 400), float32.

        Raises:
            ClipError: The video cannot be read.
        """
        video = VideoFile(path)
        frames = [i3d_picture(torch.from_numpy(frame)) for frame in video.frames_at(taken_frames(len(video)))]
        with torch.inference_mode():
            return self.network(torch.stack(frames, dim=1).unsqueeze(0).to(self.device)).cpu().numpy()


def taken_frames(num_frames: int) -> list[int]:
    """Which 15 frames of a clip are seen: evenly spaced ones, or all and then the last one again and again."""
    if num_frames <= NUM_FRAMES:
        return [*range(num_frames), *[num_frames - 1] * (NUM_FRAMES - num_frames)]
    return np.linspace(0, num_frames - 1, NUM_FRAMES, dtype=int).tolist()


def i3d_picture(frame_HWC: Tensor) -> Tensor:
    """An RGB uint8 frame as I3D gets it, shape (3, 224, 224), values -1 to 1.

    Source: google-research, frechet_video_distance, `preprocess`.
    """
    from torch_fidelity.interpolate_compat_tensorflow import (
        interpolate_bilinear_2d_like_tensorflow1x,
    )

    colours_13HW = frame_HWC.permute(2, 0, 1).unsqueeze(0).float()
    resized_13PP = interpolate_bilinear_2d_like_tensorflow1x(
        colours_13HW, size=(FRAME_PX, FRAME_PX), align_corners=False
    )
    return 2 * resized_13PP.squeeze(0) / 255 - 1


def distance_of_clips(video_1F: np.ndarray, truth_1F: np.ndarray) -> float:
    """The paper's distance of two single clips, each repeated to a batch."""
    return distance_of_sets(np.tile(video_1F, (NUM_COPIES, 1)), np.tile(truth_1F, (NUM_COPIES, 1)))
