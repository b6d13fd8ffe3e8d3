"""The pdfgc backbone: expression codes of frames, and the person of the first one moved by control values."""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import torch

from cmet.backbones.frames import SPEECH_FPS, resampled
from cmet.backbones.pdfgc.control import MOUTH_GAIN, smoothed, steered
from cmet.backbones.pdfgc.loading import load_networks
from cmet.backbones.pdfgc.motion import EXPRESSION_WIDTH, EYE_WIDTH, MOUTH_WIDTH, POSE_WIDTH
from cmet.backbones.pdfgc.pictures import CROP_COLUMNS, CROP_ROWS, SIDE_PX, pdfgc_frames
from cmet.backbones.pdfgc.rendering import TalkingFace
from cmet.backbones.published.backbone import PublishedBackbone
from cmet.backbones.published.precision import autocast_type
from cmet.backbones.published.used_weights import check_used
from cmet.environment import best_device
from cmet.params import InferenceParams

WEIGHTS = ("pdfgc-appearance", "pdfgc-motion", "pdfgc-audio", "pdfgc-generator")
"""Registered checkpoints that codes and pictures depend on."""

EXPRESSION = slice(0, EXPRESSION_WIDTH)
EYE = slice(EXPRESSION.stop, EXPRESSION.stop + EYE_WIDTH)
POSE = slice(EYE.stop, EYE.stop + POSE_WIDTH)
MOUTH = slice(POSE.stop, POSE.stop + MOUTH_WIDTH)
"""Columns of a track; the mouth is there once speech came in."""


class PDFGC(PublishedBackbone):
    """Tracks expression (30), eyes (6) and pose (6) per frame, and draws them with a mouth from speech.

    Frames are face crops; another size than 224x224 is resized, and the rendered ones are 224x224 and show `view` of a
    crop. Without speech the mouth values are zero, which the published code calls switched off.
    """

    name = "pdfgc"
    width = EXPRESSION_WIDTH
    picture_px = SIDE_PX
    view = (
        CROP_COLUMNS.start / SIDE_PX,
        CROP_ROWS.start / SIDE_PX,
        CROP_COLUMNS.stop / SIDE_PX,
        CROP_ROWS.stop / SIDE_PX,
    )
    weights = WEIGHTS
    speech_weights: tuple[str, ...] = ()
    keeps_lips = False
    hears = True

    def __init__(self, face: TalkingFace, weights: Path) -> None:
        """Use loaded networks, which came from the folder of weights."""
        self.face = face
        super().__init__(weights)

    @classmethod
    def load(cls, folder: Path, weights: Path, inference: InferenceParams) -> "PDFGC":
        """Read the four published files from the folder of weights.

        Raises:
            UserError: One is missing, cannot be read, is another checkpoint or holds values that are not finite, or is
                not the one that the model folder was made with.
        """
        check_used(folder, WEIGHTS, weights)
        device = best_device()
        networks = load_networks(weights)
        for network in networks:
            network.to(device)
        face = TalkingFace(networks, inference.batch_size, autocast_type(inference, device), inference.compile)
        return cls(face, weights)

    def track(self, frames: Iterable[np.ndarray]) -> np.ndarray:
        """Expression, eyes and pose, shape (T, 42), float32.

        Raises:
            ClipError: `too_short`, where there are no frames.
        """
        motion = self.face.motion(frames)
        return torch.cat([motion.expression_BE, motion.eye_B6, motion.pose_B6], 1).cpu().numpy()

    def encode(self, track: np.ndarray) -> np.ndarray:
        """Expression codes, shape (T, 30), as the motion network gives them: without the gain of the pipeline."""
        return track[:, EXPRESSION]

    def with_speech(self, track: np.ndarray, samples: np.ndarray, fps: float) -> np.ndarray:
        """A track (T, 542) with a mouth; a track of another rate than 25 is interpolated.

        Differs from the published code: all frames have a window of the sound, and the smoothing goes on with the first
        and the last frame instead of zeros.

        Raises:
            ClipError: `too_short`, when the sound is shorter than one frame.
        """
        mouth_FM = smoothed(self.face.mouth(samples, is_whole=True) * MOUTH_GAIN, holds_ends=True).cpu().numpy()
        return np.concatenate([track[:, : POSE.stop], resampled(mouth_FM, SPEECH_FPS, len(track), fps)], 1)

    def render(self, frames: Iterable[np.ndarray], track: np.ndarray, codes: np.ndarray) -> Iterator[np.ndarray]:
        """Frames (224, 224, 3) with the mouth, eyes and pose of the track and other expression codes.

        They are drawn anew from the first frame, so that own codes give the frames back as well as PD-FGC can, and not
        pixel by pixel.
        """
        first = next(iter(frames), None)
        if first is None:
            return
        mouth = track[:, MOUTH] if track.shape[1] == MOUTH.stop else np.zeros((len(track), MOUTH_WIDTH), np.float32)
        parts = (mouth, codes, track[:, EYE], track[:, POSE])
        control_TC = steered(*(torch.from_numpy(np.ascontiguousarray(part, np.float32)) for part in parts))
        yield from chain.from_iterable(map(pdfgc_frames, self.face.render(self.face.appearance(first), control_TC)))
