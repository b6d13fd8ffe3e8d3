"""What a judge that nobody here has trained says: a network of FER-2013, of real faces. The paper has no such metric.

acc_fer            1 where it names the wanted emotion
acc_fer/true       the same for the true clip: how far this judge itself can be trusted on such faces
acc_fer/agreement  1 where it and the judge of `acc_emo` name the same emotion

It sees the square around the landmarks of evenly spaced frames, in grey, and names the emotion of the mean of their
logits, which may be neutral. It knows no contempt, and is not the paper's judge: their accuracies cannot be compared.

Legend: K faces found, P pixels of a side (64), C classes (7).
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch

from cmet.backbones.facemesh.mesh import NUM_FACE_POINTS
from cmet.errors import ClipError
from cmet.media.landmarks import still_landmarks
from cmet.media.scaling import scaled
from cmet.media.video import VideoFile
from cmet.progress import counted
from cmet.scores.metrics.fer_network import CLASSES, SIZE_PX, FerNetwork
from cmet.scores.metrics.metric import Measured, Shown

NUM_FRAMES = 16
MARGIN = 1.1
"""Side of the square in sides of the landmarks' box; five real clips of MEAD are all named rightly from 1.1 to 1.15."""

CUT_PX = 256
"""Side to which a face is brought before its pixels are averaged to `SIZE_PX`."""

KEPT_CLIPS = 64
"""True clips whose answer is remembered: neighbouring rows of several methods share theirs."""


class FerAccuracy:
    """See the module; a `Metric`."""

    NAMES = ("acc_fer", "acc_fer/true", "acc_fer/agreement")
    WEIGHTS: tuple[str, ...] = ()
    IS_OF_SETS = False

    def __init__(self, network: FerNetwork) -> None:
        """Measure with a network."""
        self.network = network

    @classmethod
    def load(cls, weights: Path) -> "FerAccuracy":
        """The metric; its network comes with cmet."""
        return cls(FerNetwork.published())

    def measure(self, clips: Sequence[Shown], label: str) -> Measured:
        """Measure clips, with a progress bar called `label`.

        A clip gets a `ClipError` where it should show an emotion that the network does not know (`unknown_emotion`),
        where no face is found (`no_face`) or it cannot be read. `acc_fer/true` is left out where there is no true
        clip or it shows no face, `acc_fer/agreement` where the other judge has no answer, or one that the network does
        not know.
        """
        named = lru_cache(KEPT_CLIPS)(self.name_of)
        return Measured([_compared(shown, named) for shown in counted(clips, label, len(clips), "clip")], {})

    def name_of(self, video: Path) -> str:
        """The emotion of a clip.

        Raises:
            ClipError: `no_face`, or the video cannot be read.
        """
        return CLASSES[int(self.logits(video).argmax())]

    @torch.inference_mode()
    def logits(self, video: Path) -> np.ndarray:
        """Mean logits of the faces in evenly spaced frames, shape (C,).

        Raises:
            ClipError: `no_face` in any of them, or the video cannot be read.
        """
        file = VideoFile(video)
        indices = sorted({round(index) for index in np.linspace(0, len(file) - 1, NUM_FRAMES)})
        frames = list(file.frames_at(indices))
        faces = [
            face_square(frame, points[:NUM_FACE_POINTS, :2])
            for frame, points in zip(frames, still_landmarks(frames), strict=True)
            if np.isfinite(points).all()
        ]
        if not faces:
            raise ClipError("no_face", f"{video.name} shows no face in the {len(frames)} frames looked at")
        pictures_KPP = torch.from_numpy(np.stack(faces)).float() / 127.5 - 1
        return self.network(pictures_KPP[:, None]).mean(dim=0).numpy()


def face_square(frame: np.ndarray, points_P2: np.ndarray) -> np.ndarray:
    """The square around a face, grey, shape (64, 64), uint8.

    Args:
        frame: RGB uint8 (H, W, 3).
        points_P2: The landmarks of the face, pixels.
    """
    low, high = points_P2.min(axis=0), points_P2.max(axis=0)
    scale = CUT_PX / (MARGIN * float((high - low).max()))
    shift = CUT_PX / 2 - scale * (low + high) / 2
    placed = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    face = cv2.warpAffine(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), placed, (CUT_PX, CUT_PX))
    return scaled(face, SIZE_PX, SIZE_PX, cv2.INTER_AREA)


def _compared(shown: Shown, name_of: Callable[[Path], str]) -> Mapping[str, float] | ClipError:
    try:
        if shown.emotion not in CLASSES:
            raise ClipError("unknown_emotion", f"the network of FER-2013 knows no {shown.emotion}")
        said = name_of(shown.video)
    except ClipError as error:
        return error
    found = {"acc_fer": float(said == shown.emotion)}
    if shown.judged in CLASSES:
        found["acc_fer/agreement"] = float(said == shown.judged)
    if shown.truth is not None:
        with suppress(ClipError):
            found["acc_fer/true"] = float(name_of(shown.truth) == shown.emotion)
    return found
