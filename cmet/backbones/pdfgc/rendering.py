"""PD-FGC at work: a person from one picture, motion from driving videos, a mouth from speech, and the video of it all.

Legend: B pictures at once, N frames of the result, T frames of a driving video, S samples, M mouth values (500),
C control values (542).
"""

from array import array
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from torch import Tensor

from cmet.backbones.pdfgc.appearance import Appearance
from cmet.backbones.pdfgc.loading import Networks
from cmet.backbones.pdfgc.motion import EXPRESSION_WIDTH, EYE_WIDTH, MOUTH_WIDTH, POSE_WIDTH, MotionCodes
from cmet.backbones.pdfgc.pictures import pdfgc_pictures
from cmet.backbones.pdfgc.spectrogram import speech_windows
from cmet.backbones.published.batching import batched, filled
from cmet.errors import ClipError

BATCH_SIZE = 8
MOTION_WIDTHS = [POSE_WIDTH, EYE_WIDTH, EXPRESSION_WIDTH]


class TalkingFace:
    """The four networks behind one batch size, which changes speed and memory and no result."""

    def __init__(
        self,
        networks: Networks,
        batch_size: int | None = None,
        autocast: torch.dtype | None = None,
        compiles: bool = False,
    ) -> None:
        """Use networks in eval mode that lie on one device.

        Args:
            networks: Loaded.
            batch_size: Pictures that go through a network at once, by default `BATCH_SIZE`.
            autocast: Lower precision for drawing; what is read off pictures and sound stays in float32.
            compiles: Let torch.compile optimise reading and drawing pictures.
        """
        # a fifth faster on a CPU; the generator orders its maps itself
        networks.motion.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.networks = networks
        self.batch_size = batch_size or BATCH_SIZE
        self._autocast = autocast
        self._compiles = compiles
        self._motion = torch.compile(networks.motion, dynamic=False) if compiles else networks.motion
        self._generator = torch.compile(networks.generator, dynamic=False) if compiles else networks.generator
        self.device = networks.generator.conv1.conv.weight.device

    @torch.inference_mode()
    def appearance(self, frame: np.ndarray) -> Appearance:
        """The person in a face crop (H, W, 3), RGB uint8; once per clip."""
        return self.networks.appearance(pdfgc_pictures([frame], self.device))

    @torch.inference_mode()
    def motion(self, frames: Iterable[np.ndarray]) -> MotionCodes:
        """Pose, eyes and expression of each frame, T rows each, on the CPU.

        A video that drives several of them is read once.

        Args:
            frames: Face crops (H, W, 3), RGB uint8, of one size; not more than a batch is held.

        Raises:
            ClipError: `too_short`, where there are no frames.
        """
        values = array("f")
        for batch in batched(frames, self.batch_size):
            motion = self._motion(self._filled(pdfgc_pictures(batch, self.device)))
            _keep(values, torch.cat(motion, 1)[: len(batch)])
        if not values:
            raise ClipError("too_short", "the driving video has no frames")
        return MotionCodes(*_kept(values, sum(MOTION_WIDTHS)).split(MOTION_WIDTHS, 1))

    @torch.inference_mode()
    def mouth(self, samples_S: np.ndarray, is_whole: bool = False) -> Tensor:
        """Mouth values of video frames, shape (N, 500), on the CPU, from mono sound at 16 kHz.

        Args:
            samples_S: The sound.
            is_whole: Every video frame gets values; else they begin with frame 2 and end early, as published.

        Raises:
            ClipError: `too_short`, where the sound is shorter than one frame needs.
        """
        windows = speech_windows(samples_S, is_whole).split(self.batch_size)
        values = array("f")
        for part in windows:
            _keep(values, self.networks.audio(part.to(self.device)))
        return _kept(values, MOUTH_WIDTH)

    @torch.inference_mode()
    def render(self, appearance: Appearance, control_NC: Tensor) -> Iterator[Tensor]:
        """Pictures of a person in [-1, 1], batches of shape (B, 3, 224, 224).

        Args:
            appearance: One person.
            control_NC: What `steered` gives.
        """
        for start in range(0, len(control_NC), self.batch_size):
            control_BC = control_NC[start : start + self.batch_size].to(self.device)
            vector_BV = appearance.vector_BV.expand(len(control_BC), -1)
            style_BY = self._filled(torch.cat([vector_BV, control_BC], 1))
            with self._precision():
                pictures = self._generator(appearance.map_BCPP, style_BY)
            yield pictures[: len(control_BC)].float()

    def _filled(self, rows_B: Tensor) -> Tensor:
        return filled(rows_B, self.batch_size) if self._compiles else rows_B

    def _precision(self) -> AbstractContextManager[object]:
        return nullcontext() if self._autocast is None else torch.autocast(self.device.type, self._autocast)


def _keep(values: array, rows: Tensor) -> None:
    """Append rows to one block that grows: small tensors, kept between the large ones of a network, pin its memory."""
    values.extend(rows.float().flatten().tolist())


def _kept(values: array, width: int) -> Tensor:
    return torch.from_numpy(np.array(values, np.float32)).view(-1, width)
