"""PD-FGC at work: a person from one picture, motion from driving videos, a mouth from speech, and the video of it all.

Legend: B pictures at once, N frames of the result, T frames of a driving video, S samples, M mouth values (500),
C control values (542).
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cmet.backbones.pdfgc.appearance import Appearance
from cmet.backbones.pdfgc.loading import Networks, load_networks
from cmet.backbones.pdfgc.motion import Motion
from cmet.backbones.pdfgc.pictures import to_pictures
from cmet.backbones.pdfgc.spectrogram import speech_windows
from cmet.errors import ClipError

BATCH_SIZE = 8


class TalkingFace:
    """The four networks behind one batch size, which changes speed and memory and no result."""

    def __init__(self, networks: Networks, batch_size: int = BATCH_SIZE) -> None:
        """Use networks in eval mode that lie on one device."""
        # a fifth faster on a CPU; the generator orders its maps itself
        networks.motion.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.networks = networks
        self.batch_size = batch_size
        self.device = networks.generator.conv1.conv.weight.device

    @classmethod
    def load(
        cls, folder: Path | None = None, device: torch.device | str = "cpu", batch_size: int = BATCH_SIZE
    ) -> "TalkingFace":
        """Read the published files from a folder.

        Raises:
            UserError: A file is missing, cannot be read or is another checkpoint.
        """
        networks = load_networks(folder)
        for network in networks:
            network.to(device)
        return cls(networks, batch_size)

    @torch.inference_mode()
    def appearance(self, frame: np.ndarray) -> Appearance:
        """The person in a face crop (H, W, 3), RGB uint8; once per clip."""
        return self.networks.appearance(to_pictures([frame], self.device))

    @torch.inference_mode()
    def motion(self, frames: Iterable[np.ndarray]) -> Motion:
        """Pose, eyes and expression of each frame, T rows each. A video that drives several of them is read once.

        Args:
            frames: Face crops (H, W, 3), RGB uint8, of one size; not more than a batch is held.

        Raises:
            ClipError: `too_short`, where there are no frames.
        """
        parts = [self.networks.motion(to_pictures(batch, self.device)) for batch in batches(frames, self.batch_size)]
        if not parts:
            raise ClipError("too_short", "a driving video without frames")
        return Motion(*(torch.cat(values) for values in zip(*parts, strict=True)))

    @torch.inference_mode()
    def mouth(self, samples_S: np.ndarray) -> Tensor:
        """Mouth values of video frames 2, 3, ..., shape (N, 500), from mono sound at 16 kHz.

        Raises:
            ClipError: `too_short`, where the sound is shorter than one frame needs.
        """
        windows = speech_windows(samples_S).split(self.batch_size)
        return torch.cat([self.networks.audio(part.to(self.device)) for part in windows])

    @torch.inference_mode()
    def render(self, appearance: Appearance, control_NC: Tensor) -> Iterator[Tensor]:
        """Pictures of a person in [-1, 1], batches of shape (B, 3, 224, 224).

        Args:
            appearance: One person.
            control_NC: What `control_values` gives.
        """
        for start in range(0, len(control_NC), self.batch_size):
            control_BC = control_NC[start : start + self.batch_size].to(self.device)
            vector_BV = appearance.vector_BV.expand(len(control_BC), -1)
            yield self.networks.generator(appearance.map_BCPP, torch.cat([vector_BV, control_BC], 1))


def batches(items: Iterable[np.ndarray], size: int) -> Iterator[list[np.ndarray]]:
    """Consecutive items, `size` at a time; the last batch may be shorter."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
