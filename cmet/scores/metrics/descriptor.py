"""Whether an edited clip still shows the person of its source, by face-api's descriptors, which come with cmet.

descriptor_similarity  mean cosine between a frame of the edited clip and the mean of its source. That of another
                       person is high too: 0.77 to 0.89 among eight real people, beside 0.98 to 0.99 of one
descriptor_distance    mean Euclidean distance between frames of the two. face-api takes two faces for one person below
                       0.6; frames of one clip are 0.15 to 0.35 apart, those of two people 0.75 to 1.0

Both over evenly spaced frames. The paper has no such metric; `identity_similarity` is the same by ArcFace.

Legend: K faces found, D width of a descriptor (128), P pixels of a side (150).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cmet.backbones.facemesh.mesh import OPENINGS
from cmet.errors import ClipError
from cmet.progress import counted
from cmet.scores.metrics.descriptor_network import SIZE_PX, DescriptorNetwork
from cmet.scores.metrics.landmarks import MOUTH
from cmet.scores.metrics.metric import Measured, Shown
from cmet.scores.metrics.seen import Box, SeenFace, boxed, seen_faces

EYES = tuple(sorted({*upper, *lower}) for upper, lower in OPENINGS[1:])

EYES_TO_MOUTH = 0.45
"""Distance from an eye to the mouth in sides of the box, as face-api's `alignDlib` has it."""

CENTRE = (0.5, 0.43)
"""Where the mean of eyes and mouth lies in the box, from the left and from the top."""

KEPT_SOURCES = 64
"""Sources whose descriptors are remembered: neighbouring rows share theirs."""


class DescriptorLikeness:
    """See the module; a `Metric`."""

    NAMES = ("descriptor_similarity", "descriptor_distance")
    WEIGHTS: tuple[str, ...] = ()
    IS_OF_SETS = False

    def __init__(self, network: DescriptorNetwork) -> None:
        """Measure with a network."""
        self.network = network

    @classmethod
    def load(cls, weights: Path) -> "DescriptorLikeness":
        """The metric; its network comes with cmet."""
        return cls(DescriptorNetwork.published())

    def measure(self, clips: Sequence[Shown], label: str) -> Measured:
        """Measure clips, with a progress bar called `label`.

        A clip gets a `ClipError` where it has no source (`no_source`), where no face is found in one of the two
        (`no_face`) or one of them cannot be read.
        """
        of_source = lru_cache(KEPT_SOURCES)(lambda video: self.descriptors(seen_faces(video)))
        return Measured([self._compared(shown, of_source) for shown in counted(clips, label, len(clips), "clip")], {})

    @torch.inference_mode()
    def descriptors(self, faces: Sequence[SeenFace]) -> Tensor:
        """Descriptors of faces, shape (K, D)."""
        squares_KPP3 = np.stack([boxed(face.frame, descriptor_box(face.points), SIZE_PX) for face in faces])
        return self.network(torch.from_numpy(squares_KPP3).permute(0, 3, 1, 2).float())

    def _compared(self, shown: Shown, of_source: Callable[[Path], Tensor]) -> Mapping[str, float] | ClipError:
        try:
            if shown.source is None:
                raise ClipError("no_source", f"{shown.video.name} has no neutral source to compare with")
            own_KD, source_KD = self.descriptors(seen_faces(shown.video)), of_source(shown.source)
        except ClipError as error:
            return error
        return dict(zip(self.NAMES, likeness(own_KD, source_KD), strict=True))


def likeness(faces_KD: Tensor, others_KD: Tensor) -> tuple[float, float]:
    """Similarity and distance of two lists of descriptors, each shape (K, D); see the module."""
    similarity = functional.cosine_similarity(faces_KD, functional.normalize(others_KD).mean(dim=0)[None])
    return float(similarity.mean()), float(torch.cdist(faces_KD, others_KD).mean())


def descriptor_box(points: np.ndarray) -> Box:
    """The square of a face that is described.

    Args:
        points: Its landmarks, shape (478, 3), pixels.
    """
    eyes_22, mouth_2 = np.stack([points[eye, :2].mean(axis=0) for eye in EYES]), points[MOUTH, :2].mean(axis=0)
    side = float(np.linalg.norm(eyes_22 - mouth_2, axis=1).mean()) / EYES_TO_MOUTH
    middle_2 = np.mean([*eyes_22, mouth_2], axis=0)
    left, top = middle_2 - side * np.array(CENTRE)
    return Box(float(left), float(top), side, side)
