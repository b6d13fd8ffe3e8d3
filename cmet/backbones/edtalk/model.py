"""The edtalk backbone: expression codes of frames, and a person's first frame moved by coefficients."""

from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from cmet.backbones.edtalk.audio2lip import Audio2Lip, lips_from_speech
from cmet.backbones.edtalk.generator import EXPRESSION, LIP, NUM_EXPRESSION, PICTURE_PX
from cmet.backbones.edtalk.loading import load_audio2lip, load_generator
from cmet.backbones.edtalk.mel import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from cmet.backbones.edtalk.rendering import Renderer
from cmet.backbones.frames import SPEECH_FPS, resampled
from cmet.backbones.published.backbone import PublishedBackbone
from cmet.backbones.published.precision import autocast_type, levels
from cmet.backbones.published.used_weights import check_used
from cmet.environment import best_device
from cmet.errors import ClipError
from cmet.media.scaling import scaled
from cmet.params import InferenceParams

WEIGHTS = ("edtalk",)
"""Registered checkpoints that the codes depend on."""


class EDTalk(PublishedBackbone):
    """Tracks 36 coefficients per frame (20 lip, 6 pose, 10 expression) and renders them on the first frame.

    Frames are face crops; another size than 256x256 is resized, and the rendered ones are 256x256.
    """

    name = "edtalk"
    width = NUM_EXPRESSION
    picture_px = PICTURE_PX
    view = (0.0, 0.0, 1.0, 1.0)
    weights = WEIGHTS
    speech_weights: tuple[str, ...] = ("audio2lip",)
    keeps_lips = True
    hears = True

    def __init__(self, renderer: Renderer, weights: Path) -> None:
        """Use loaded networks; the lip network is read from the folder of weights when speech comes in."""
        self.renderer = renderer
        super().__init__(weights)

    @classmethod
    def load(cls, folder: Path, weights: Path, inference: InferenceParams) -> "EDTalk":
        """Read `EDTalk.pt` from the folder of weights.

        Raises:
            UserError: It is missing, cannot be read, is another checkpoint or holds values that are not finite, or is
                not the one that the model folder was made with.
        """
        check_used(folder, WEIGHTS, weights)
        device = best_device()
        renderer = Renderer(
            load_generator(weights).to(device),
            inference.batch_size,
            autocast_type(inference, device),
            inference.compile,
        )
        return cls(renderer, weights)

    def track(self, frames: Iterable[np.ndarray]) -> np.ndarray:
        """Coefficients, shape (T, 36), float32."""
        return self.renderer.coefficients(map(edtalk_picture, frames)).numpy()

    def with_speech(self, track: np.ndarray, samples: np.ndarray, fps: float) -> np.ndarray:
        """A track whose lips say something else, by Audio2Lip; a track of another rate than 25 is interpolated.

        Differs from the published code: the smoothing goes on with the first and the last frame instead of zeros, which
        close the mouth there by a quarter.

        Raises:
            ClipError: `too_short`, when the sound is shorter than one frame.
            UserError: `Audio2Lip.pt` is missing or is another file.
        """
        if len(samples) < SAMPLES_PER_FRAME:
            raise ClipError("too_short", f"{len(samples) / SAMPLE_RATE_HZ:.3f} s of speech; one frame needs 0.04 s")
        lips_FP = lips_from_speech(self._audio2lip, samples, holds_ends=True).numpy()
        result = track.copy()
        result[:, LIP] = resampled(lips_FP, SPEECH_FPS, len(track), fps)
        return result

    def with_lips(self, track: np.ndarray, lips: np.ndarray) -> np.ndarray:
        """A track (T, 36) with the lips of another one of the same length."""
        result = track.copy()
        result[:, LIP] = lips[:, LIP]
        return result

    @cached_property
    def _audio2lip(self) -> Audio2Lip:
        return load_audio2lip(self.weights_folder).to(self.renderer.device)

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
        source = self.renderer.source(edtalk_picture(first))
        for pictures_B3HW in self.renderer.render(source, torch.from_numpy(coefficients)):
            yield from edtalk_frames(pictures_B3HW)


def edtalk_picture(frame: np.ndarray) -> Tensor:
    """RGB in [-1, 1], shape (3, 256, 256), of a uint8 frame (H, W, 3)."""
    if frame.shape[:2] != (PICTURE_PX, PICTURE_PX):
        interpolation = cv2.INTER_AREA if min(frame.shape[:2]) > PICTURE_PX else cv2.INTER_CUBIC
        frame = scaled(frame, PICTURE_PX, PICTURE_PX, interpolation)
    return torch.from_numpy(np.ascontiguousarray(frame.transpose(2, 0, 1))).float() / 127.5 - 1


def edtalk_frames(pictures_B3HW: Tensor) -> np.ndarray:
    """uint8 frames, shape (B, H, W, 3), of pictures in [-1, 1]; what is beyond is clamped.

    Differs from the published code, which stretches each clip so that its extremes become 0 and 255.
    """
    return levels(pictures_B3HW).permute(0, 2, 3, 1).contiguous().cpu().numpy()
