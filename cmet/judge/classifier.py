"""Naming the emotion of clips, with a card that says who names it."""

# N frames, T frames of a clip, V clips, C classes

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from cmet.errors import ClipError, UserError
from cmet.inputs.texts import shown
from cmet.judge.card import CARD, JudgeCard, read_card
from cmet.judge.checkpoints import load_judge_network, sha256_of
from cmet.judge.frames import CLIPS_AT_ONCE, read_frames, to_tensor
from cmet.judge.networks import KINDS
from cmet.progress import progress
from cmet.weights.containers import not_finite


class ClipClassifier:
    """A network that names the emotion of clips by the mean of the logits of evenly spaced frames."""

    def __init__(self, network: nn.Module, kind: str, classes: Sequence[str], image_px: int, num_frames: int) -> None:
        """Take a network as it is; it is switched to inference and brought to where it runs.

        Args:
            network: Made by the kind of that name.
            kind: Its name among `KINDS`.
            classes: Emotions in the order of its logits.
            image_px: Side of the pictures it is given.
            num_frames: Frames of a clip.
        """
        self.kind = KINDS[kind]
        self.device = self.kind.device
        self.network = network.eval().to(self.device)
        self.classes = tuple(classes)
        self.image_px = image_px
        self.num_frames = num_frames

    def logits(self, frames_NHWC: np.ndarray) -> np.ndarray:
        """Logits of RGB uint8 frames of any size, shape (N, C), float32.

        Raises:
            UserError: They are no numbers.
        """
        side, at_once = self.image_px, self.kind.frames_at_once
        if frames_NHWC.shape[1:3] != (side, side):
            frames_NHWC = np.stack([self.kind.resize(frame, side) for frame in frames_NHWC])
        parts = np.split(frames_NHWC, range(at_once, len(frames_NHWC), at_once))
        with torch.inference_mode():
            found = np.concatenate([self.network(to_tensor(part).to(self.device)).cpu().numpy() for part in parts])
        if not np.isfinite(found).all():
            raise UserError("the judge's answers are no numbers: its weights are damaged; use or train another judge")
        return found

    def mean_logits(self, clips: Sequence[np.ndarray]) -> np.ndarray:
        """Mean logits of clips whose frames are given, (T, H, W, 3) uint8 each and of one size, shape (V, C)."""
        if not clips:
            return np.zeros((0, len(self.classes)), np.float32)
        return self.logits(np.concatenate(clips)).reshape(len(clips), -1, len(self.classes)).mean(axis=1)

    def classify_clips(self, paths: Sequence[Path], label: str = "judge") -> list[np.ndarray | ClipError]:
        """Mean logits of each clip, shape (C,), or why it cannot be read; `label` names the progress bar.

        Memory does not grow with the clips, but for their logits.
        """
        answers: list[np.ndarray | ClipError] = []
        clips = read_frames(paths, self.num_frames, self.image_px, self.kind.resize)
        with progress(label, len(paths), "clip") as bar:
            while batch := list(islice(clips, CLIPS_AT_ONCE)):
                means = iter(self.mean_logits([clip for clip in batch if not isinstance(clip, ClipError)]))
                answers += [clip if isinstance(clip, ClipError) else next(means) for clip in batch]
                bar.update(len(batch))
        return answers

    def name_of(self, logits_C: np.ndarray) -> str:
        """The emotion that logits say."""
        return self.classes[int(logits_C.argmax())]

    def accuracy(self, paths: Sequence[Path], emotions: Sequence[str], label: str) -> float | None:
        """Share of clips whose emotion it names, those that cannot be read counted as wrong; None without clips."""
        if not paths:
            return None
        answers = self.classify_clips(paths, label)
        named = [None if isinstance(answer, ClipError) else self.name_of(answer) for answer in answers]
        return float(np.mean([said == truth for said, truth in zip(named, emotions, strict=True)]))


class Judge(ClipClassifier):
    """A judge that is ready: a classifier with its card."""

    def __init__(self, network: nn.Module, card: JudgeCard) -> None:
        """Take a network as it is."""
        super().__init__(network, card.network, card.classes, card.image_px, card.num_frames)
        self.card = card

    @classmethod
    def load(cls, folder: Path) -> "Judge":
        """Read the folder that the stage `judge` wrote.

        Raises:
            UserError: There is no judge, or its weights are damaged or not the ones its card describes.
        """
        card = read_card(folder)
        path = folder / card.weights
        if not path.is_file() or sha256_of(path) != card.sha256:
            raise UserError(f"{path}: not the weights that {CARD} describes; run 'cmet judge' again")
        if card.source == "released checkpoint":
            return cls(load_judge_network(path, card.classes), card)
        network = KINDS[card.network].make(len(card.classes))
        try:
            weights = load_file(path)
            network.load_state_dict(weights)
        except (SafetensorError, RuntimeError) as error:
            raise UserError(f"{path}: damaged ({shown(str(error))}); run 'cmet judge' again") from error
        bad = not_finite(weights)
        if bad:
            raise UserError(f"{path}: NaN or infinity in {len(bad)} tensor(s), first {bad[0]}; run 'cmet judge' again")
        return cls(network, card)
