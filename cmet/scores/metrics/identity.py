"""Identity similarity: whether an edited clip still shows the person of its source. Ours; the paper has no such metric.

The cosine between the ArcFace embedding of a frame of the edited clip and the mean embedding of its neutral source,
averaged over evenly spaced frames: 1 is the same face, strangers are around 0. A moving clip compared with itself is
slightly below 1, by as much as its frames differ from their mean.

Legend: K faces found, D width of an embedding (512).

Source of the alignment: deepinsight/insightface, python-package/insightface/utils/face_align.py. Its five points come
from a detector of its own; ours from MediaPipe's landmarks.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cmet.environment import best_device
from cmet.errors import ClipError
from cmet.media.landmarks import track_landmarks
from cmet.media.video import VideoFile
from cmet.progress import counted
from cmet.scores.metrics.arcface import SIZE_PX, ArcFace, load_arcface
from cmet.scores.metrics.metric import Measured, Shown
from cmet.scores.metrics.seen import spaced_frames

KEPT_SOURCES = 64
"""Sources whose embedding is remembered: neighbouring rows share theirs."""

TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""Where the five points lie in an aligned face, pixels: eyes, tip of the nose, corners of the mouth, left in the
picture first."""

POINTS = ((33, 133), (362, 263), (1,), (61,), (291,))
"""MediaPipe's landmarks whose mean is each of the five points; corners stand for an eye, since a pupil moves."""


class IdentitySimilarity:
    """See the module; a `Metric`."""

    NAMES = ("identity_similarity",)
    WEIGHTS = ("arcface",)
    IS_OF_SETS = False

    def __init__(self, network: ArcFace, device: torch.device) -> None:
        """Measure with a network that lies on the device."""
        self.network = network
        self.device = device

    @classmethod
    def load(cls, weights: Path) -> "IdentitySimilarity":
        """The metric with the published network.

        Raises:
            UserError: `backbone.pth` is missing, cannot be read or is another checkpoint.
        """
        device = best_device()
        return cls(load_arcface(weights).to(device), device)

    def measure(self, clips: Sequence[Shown], label: str) -> Measured:
        """Measure clips, with a progress bar called `label`.

        A clip gets a `ClipError` where it has no source (`no_source`), where no face is found in one of the two
        (`no_face`) or one of them cannot be read.
        """
        source_mean = lru_cache(KEPT_SOURCES)(lambda video: self.embeddings(video).mean(0))
        return Measured(
            [self._similarity(shown, source_mean) for shown in counted(clips, label, len(clips), "clip")], {}
        )

    def _similarity(self, shown: Shown, source_mean: Callable[[Path], Tensor]) -> Mapping[str, float] | ClipError:
        try:
            if shown.source is None:
                raise ClipError("no_source", f"{shown.video.name} has no neutral source to compare with")
            own_KD, source_D = self.embeddings(shown.video), source_mean(shown.source)
        except ClipError as error:
            return error
        return {self.NAMES[0]: float(functional.cosine_similarity(own_KD, source_D[None]).mean())}

    @torch.inference_mode()
    def embeddings(self, video: Path) -> Tensor:
        """Embeddings of unit length of the faces in evenly spaced frames, shape (K, D), on the CPU.

        Raises:
            ClipError: `no_face` in any of the frames, or the video cannot be read.
        """
        file = VideoFile(video)
        faces = [aligned_face(frame) for frame in file.frames_at(spaced_frames(len(file)))]
        found = [face for face in faces if face is not None]
        if not found:
            raise ClipError("no_face", f"{video.name} shows no face in the {len(faces)} frames looked at")
        pixels = torch.from_numpy(np.stack(found)).to(self.device)
        return functional.normalize(self.network(pixels.permute(0, 3, 1, 2) / 127.5 - 1)).cpu()


def aligned_face(frame: np.ndarray) -> np.ndarray | None:
    """The face of a frame (H, W, 3), turned, scaled and moved to `TEMPLATE`, as (112, 112, 3); None without a face."""
    # the frames lie far apart: each is a clip of its own, so that no face is followed from one to the next
    (landmarks,) = track_landmarks([frame])
    if np.isnan(landmarks).any():
        return None
    return cv2.warpAffine(frame, alignment(five_points(landmarks)), (SIZE_PX, SIZE_PX))


def five_points(landmarks: np.ndarray) -> np.ndarray:
    """The points of `TEMPLATE` in a face.

    Args:
        landmarks: Shape (478, 3), pixels.

    Returns:
        Shape (5, 2), pixels.
    """
    return np.stack([landmarks[list(group), :2].mean(axis=0) for group in POINTS])


def alignment(points: np.ndarray) -> np.ndarray:
    """The turn, scale and shift that bring five points (5, 2) nearest to `TEMPLATE`, in least squares, shape (2, 3)."""
    x, y = points.T
    one, none = np.ones_like(x), np.zeros_like(x)
    equations = np.concatenate([np.stack([x, -y, one, none], axis=1), np.stack([y, x, none, one], axis=1)])
    (a, b, right, down), *_ = np.linalg.lstsq(equations, TEMPLATE.T.ravel(), rcond=None)
    return np.array([[a, -b, right], [b, a, down]])
