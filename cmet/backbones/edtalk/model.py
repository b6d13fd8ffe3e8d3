"""The edtalk backbone: expression codes of frames, and a person's first frame moved by coefficients."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from cmet.backbones.edtalk.generator import EXPRESSION, NUM_EXPRESSION, PICTURE_PX
from cmet.backbones.edtalk.loading import load_generator
from cmet.backbones.edtalk.rendering import Renderer


class EDTalk:
    """Tracks 36 coefficients per frame (20 lip, 6 pose, 10 expression) and renders them on the first frame.

    Frames are face crops; another size than 256x256 is resized, and the rendered ones are 256x256.
    """

    name = "edtalk"
    width = NUM_EXPRESSION

    def __init__(self, renderer: Renderer) -> None:
        """Use loaded networks."""
        self.renderer = renderer

    @classmethod
    def load(cls, folder: Path | None = None) -> "EDTalk":
        """Read `EDTalk.pt` from a folder of weights, the project's when None.

        Raises:
            UserError: It is missing, cannot be read, is another checkpoint or holds values that are not finite.
        """
        return cls(Renderer(load_generator(folder)))

    def save(self, folder: Path) -> None:
        """Nothing is fitted, so nothing is written."""

    def track(self, frames: Iterable[np.ndarray]) -> np.ndarray:
        """Coefficients, shape (T, 36), float32."""
        return self.renderer.coefficients(map(to_picture, frames)).numpy()

    def encode(self, track: np.ndarray) -> np.ndarray:
        """Expression codes, shape (T, 10)."""
        return track[:, EXPRESSION]

    def render(self, frames: Iterable[np.ndarray], track: np.ndarray, codes: np.ndarray) -> Iterator[np.ndarray]:
        """Frames (256, 256, 3) with the lips and the pose of the track and other expression codes.

        They are drawn anew from the first frame, so that own codes give the frames back as well as EDTalk can, and
        not pixel by pixel.
        """
        first = next(iter(frames), None)
        if first is None:
            return
        coefficients = track.copy()
        coefficients[:, EXPRESSION] = codes
        source = self.renderer.source(to_picture(first))
        for pictures_B3HW in self.renderer.render(source, torch.from_numpy(coefficients)):
            yield from to_frames(pictures_B3HW)


def to_picture(frame: np.ndarray) -> Tensor:
    """RGB in [-1, 1], shape (3, 256, 256), of a uint8 frame (H, W, 3)."""
    if frame.shape[:2] != (PICTURE_PX, PICTURE_PX):
        interpolation = cv2.INTER_AREA if min(frame.shape[:2]) > PICTURE_PX else cv2.INTER_CUBIC
        frame = cv2.resize(frame, (PICTURE_PX, PICTURE_PX), interpolation=interpolation)
    return torch.from_numpy(np.ascontiguousarray(frame.transpose(2, 0, 1))).float() / 127.5 - 1


def to_frames(pictures_B3HW: Tensor) -> np.ndarray:
    """uint8 frames, shape (B, H, W, 3), of pictures in [-1, 1]; what is beyond is clamped.

    Differs from the published code, which stretches each clip so that its extremes become 0 and 255.
    """
    levels_B3HW = ((pictures_B3HW.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return levels_B3HW.permute(0, 2, 3, 1).contiguous().cpu().numpy()
