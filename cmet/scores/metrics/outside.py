"""Accuracy by a judge that nobody here has trained, of real faces. The paper has no such metric.

<name>            1 where it names the wanted emotion
<name>/true       the same for the true clip: how far this judge itself can be trusted on such faces
<name>/agreement  1 where it and the judge of `acc_emo` name the same emotion

It is shown the faces in evenly spaced frames and names the emotion of the mean of their logits, which may be neutral.
It knows no contempt, and is not the paper's judge: their accuracies cannot be compared.

Legend: K faces found, P pixels of a side, C classes (7).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from cmet.errors import ClipError
from cmet.progress import counted
from cmet.scores.metrics.metric import Measured, Shown
from cmet.scores.metrics.seen import SeenFace, seen_faces

KEPT_CLIPS = 64
"""True clips whose answer is remembered: neighbouring rows of several methods share theirs."""


class OutsideJudge(ABC):
    """See the module; a `Metric`."""

    NAMES: tuple[str, ...]
    WEIGHTS: tuple[str, ...] = ()
    IS_OF_SETS = False
    TITLE: ClassVar[str]
    """What a person calls the network."""
    CLASSES: ClassVar[tuple[str, ...]]
    """Emotions in the order of its logits."""

    def __init__(self, network: nn.Module) -> None:
        """Measure with a network."""
        self.network = network

    @staticmethod
    @abstractmethod
    def pictures(faces: Sequence[SeenFace]) -> Tensor:
        """What the network is shown of faces, one picture (C, P, P) of each."""

    def measure(self, clips: Sequence[Shown], label: str) -> Measured:
        """Measure clips, with a progress bar called `label`.

        A clip gets a `ClipError` where it should show an emotion that the network does not know (`unknown_emotion`),
        where no face is found (`no_face`) or it cannot be read. `/true` is left out where there is no true clip or it
        shows no face, `/agreement` where the other judge has no answer, or one that the network does not know.
        """
        named = lru_cache(KEPT_CLIPS)(self.name_of)
        return Measured([self._compared(shown, named) for shown in counted(clips, label, len(clips), "clip")], {})

    def name_of(self, video: Path) -> str:
        """The emotion of a clip.

        Raises:
            ClipError: `no_face`, or the video cannot be read.
        """
        return self.CLASSES[int(self.logits(seen_faces(video)).argmax())]

    @torch.inference_mode()
    def logits(self, faces: Sequence[SeenFace]) -> np.ndarray:
        """Mean logits of faces, shape (C,)."""
        return self.network(self.pictures(faces)).mean(dim=0).numpy()

    def _compared(self, shown: Shown, name_of: Callable[[Path], str]) -> Mapping[str, float] | ClipError:
        accuracy, accuracy_of_true, agreement = self.NAMES
        try:
            if shown.emotion not in self.CLASSES:
                raise ClipError("unknown_emotion", f"{self.TITLE} knows no {shown.emotion}")
            said = name_of(shown.video)
        except ClipError as error:
            return error
        found = {accuracy: float(said == shown.emotion)}
        if shown.judged in self.CLASSES:
            found[agreement] = float(said == shown.judged)
        if shown.truth is not None:
            with suppress(ClipError):
                found[accuracy_of_true] = float(name_of(shown.truth) == shown.emotion)
        return found
