"""Sync confidence: how surely SyncNet can tell that lips and sound are in step, as the paper measures it.

Features of five pictures are compared with features of the sound of the same 0.2 s, and of the sound up to 15 pictures
earlier and later. The confidence is the median of these 31 mean distances less the smallest: high where the sound fits
at one offset and at no other.

Legend: F pictures, N windows, D features (1024), O offsets (31).

Source: joonson/syncnet_python, SyncNetInstance.py (evaluate) and run_pipeline.py, with their defaults.

Differs from the paper:
- Faces are not searched for by S3FD and tracked: the clips are cut to the face, so a fixed square of the clip is taken,
  as `lip_picture` has it. So every clip has one value, where the published code leaves out tracks up to 100 frames.
- Pictures come from the clip as it is; the published code encodes them four times on the way.
- Other frame rates become 25 by showing the frame that is seen in the middle of each 1/25 s; FFmpeg does that there.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from python_speech_features import mfcc
from torch import Tensor
from torch.nn import functional

from cmet.backbones.published.batching import batched
from cmet.clips.product import MARGIN
from cmet.environment import best_device
from cmet.errors import ClipError
from cmet.media.scaling import scaled
from cmet.media.sound import read_sound, rms_db
from cmet.media.video import VideoFile, frames_at_rate
from cmet.progress import counted
from cmet.scores.metrics.metric import Measured, Shown
from cmet.scores.metrics.syncnet import PICTURES_PER_WINDOW, SyncNet, load_syncnet

FPS = 25
SAMPLE_RATE_HZ = 16_000
SAMPLES_PER_PICTURE = SAMPLE_RATE_HZ // FPS
FULL_SCALE = 32_768
"""Of the 16 bit samples whose cepstra SyncNet knows; the first coefficient is the logarithm of their energy."""
COLUMNS_PER_PICTURE, COLUMNS_PER_WINDOW = 4, 20

MAX_OFFSET = 15
"""Pictures by which the sound is moved either way."""
MIN_WINDOWS = MAX_OFFSET + 1
"""So that some picture meets its sound at every offset."""
MIN_PICTURES = MIN_WINDOWS + PICTURES_PER_WINDOW
SILENT_DB = -60
BATCH_SIZE = 20

SIZE_PX = 224
CROP_SCALE = 0.4
"""What the published square has on each side of a face, and twice below it, in halves of the face."""
GREY = 110
"""Where the square leaves the picture."""


class SyncConfidence:
    """See the module; a `Metric`."""

    NAMES = ("sync_conf",)
    WEIGHTS = ("syncnet",)
    IS_OF_SETS = False

    def __init__(self, network: SyncNet, device: torch.device) -> None:
        """Measure with a network that lies on the device."""
        self.network = network
        self.device = device

    @classmethod
    def load(cls, weights: Path) -> "SyncConfidence":
        """The metric with the published network.

        Raises:
            UserError: `syncnet_v2.model` is missing, cannot be read or is another checkpoint.
        """
        device = best_device()
        return cls(load_syncnet(weights).to(device), device)

    def measure(self, clips: Sequence[Shown], label: str) -> Measured:
        """Measure clips, with a progress bar called `label`.

        A clip gets a `ClipError` where it has no sound to follow (`no_sound`), where that is `silent`, where picture or
        sound are `too_short`, or where one of them cannot be read.
        """
        return Measured([self._measured(shown) for shown in counted(clips, label, len(clips), "clip")], {})

    def _measured(self, shown: Shown) -> Mapping[str, float] | ClipError:
        try:
            if shown.sound is None:
                raise ClipError("no_sound", f"{shown.video.name} has no sound for its lips to follow")
            return {self.NAMES[0]: confidence(*self.features(shown.video, shown.sound))}
        except ClipError as error:
            return error

    @torch.inference_mode()
    def features(self, video: Path, sound: Path) -> tuple[Tensor, Tensor]:
        """Features of lips and of sound over the span that both last, each of shape (N, D), on the CPU.

        Raises:
            ClipError: See `measure`.
        """
        samples = read_sound(sound, SAMPLE_RATE_HZ)
        file = VideoFile(video)
        num_pictures = min(_num_pictures(file), len(samples) // SAMPLES_PER_PICTURE)
        if num_pictures < MIN_PICTURES:
            lasting = f"{video.name} and {sound.name} share {num_pictures / FPS:.2f} s"
            raise ClipError("too_short", f"{lasting}, but {MIN_PICTURES / FPS} s are needed")
        samples = samples[: num_pictures * SAMPLES_PER_PICTURE]
        level_db = rms_db(samples)
        if level_db < SILENT_DB:
            raise ClipError("silent", f"{sound.name} has a level of {level_db:.0f} dB, but {SILENT_DB} dB are needed")
        voice_ND = self.voice_features(samples)
        shown = frames_at_rate(file.start_times_s(), FPS, len(voice_ND) + PICTURES_PER_WINDOW - 1)
        return self.lip_features(file.frames_at(shown.tolist())), voice_ND

    @torch.inference_mode()
    def voice_features(self, samples: np.ndarray) -> Tensor:
        """Features of the windows of a sound, shape (N, D), on the CPU."""
        windows = cepstral_windows(samples).split(BATCH_SIZE)
        return torch.cat([self.network.voice(batch.to(self.device)).cpu() for batch in windows])

    @torch.inference_mode()
    def lip_features(self, frames: Iterable[np.ndarray]) -> Tensor:
        """Features of the windows of frames (H, W, 3) at 25 a second, shape (N, D), on the CPU."""
        features = []
        pictures: list[np.ndarray] = []
        for batch in batched(map(lip_picture, frames), BATCH_SIZE):
            # a window that begins in one batch ends in the next
            pictures = pictures[1 - PICTURES_PER_WINDOW :] + list(batch)
            pictures_FPP3 = torch.from_numpy(np.stack(pictures)).to(self.device)
            features.append(self.network.lips(pictures_FPP3.permute(3, 0, 1, 2).float()).cpu())
        return torch.cat(features)


def confidence(lips_ND: Tensor, voice_ND: Tensor) -> float:
    """Median less minimum of the distances at all offsets."""
    distance_O = distances(lips_ND, voice_ND)
    return float(distance_O.median() - distance_O.min())


def distances(lips_ND: Tensor, voice_ND: Tensor) -> Tensor:
    """Mean Euclidean distance of lips and sound at each offset, shape (O,), float64.

    Entry k compares window i of the lips with window i + k - 15 of the sound; in the middle both are as they were.
    As published, lips that meet no sound count as if its features were zero.
    """
    # float64: in float32 the distances of long features lose more digits than their differences can spare
    lips_ND, padded_ND = lips_ND.double(), functional.pad(voice_ND.double(), (0, 0, MAX_OFFSET, MAX_OFFSET))
    num_offsets = 2 * MAX_OFFSET + 1
    moved = (padded_ND[offset : offset + len(lips_ND)] for offset in range(num_offsets))
    return torch.stack([functional.pairwise_distance(lips_ND, other_ND).mean() for other_ND in moved])


def cepstral_windows(samples: np.ndarray) -> Tensor:
    """Cepstra of each window of a sound of whole pictures, shape (N, 1, 13, 20); N is the number of pictures less 5.

    The last window of pictures has no sound of its own: its last column of cepstra would reach past the end.

    Args:
        samples: Mono, 16 kHz, full scale 1.
    """
    pcm = np.clip(np.rint(samples.astype(np.float64) * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1)
    cepstra = torch.from_numpy(mfcc(pcm, SAMPLE_RATE_HZ)).float().T
    return cepstra.unfold(1, COLUMNS_PER_WINDOW, COLUMNS_PER_PICTURE).transpose(0, 1)[:, None]


def lip_picture(frame: np.ndarray) -> np.ndarray:
    """The square of a face crop that SyncNet is shown, shape (224, 224, 3), blue, green and red from 0 to 255.

    The published square begins at the upper edge of the box of the face and is 1.4 times as large, so that the mouth is
    a little below its middle. The box is taken to be the middle 1 / 1.2 of the frame, as the rules of `cmet.clips.crop`
    leave it; so the square begins a twelfth below the upper edge of the frame and passes its other edges, where it is
    grey as it is there.

    Args:
        frame: RGB uint8 (H, W, 3).
    """
    height, width = frame.shape[:2]
    half = max(height, width) / (1 + 2 * MARGIN) / 2
    side, top = round(2 * half * (1 + CROP_SCALE)), round(height / 2 - half)
    above, below, left = max(0, -top), top + side - height, (side - width) // 2
    grey = (GREY, GREY, GREY)
    padded = cv2.copyMakeBorder(frame, above, below, left, side - width - left, cv2.BORDER_CONSTANT, value=grey)
    return scaled(padded[top + above :], SIZE_PX, SIZE_PX)[:, :, ::-1]


def _num_pictures(file: VideoFile) -> int:
    """Whole pictures of 1/25 s in a video; a hundredth may be missing, for times are rounded."""
    return int(file.duration_s() * FPS + 0.01)
