"""Whose lips the edited face shows."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from cmet.backbones.backbone import Backbone, LipDriven, SpeechDriven
from cmet.backbones.frames import SPEECH_FPS, resampled
from cmet.editing.editor import BackboneKind
from cmet.editing.messages import named, told_of
from cmet.editing.wishes.options import LipsFrom
from cmet.errors import ClipError, UserError
from cmet.media.files import open_media
from cmet.media.packets import picture_track
from cmet.media.sound import read_sound
from cmet.speech.encoders.encoder import SAMPLE_RATE_HZ

TrackLips = Callable[[Path], tuple[np.ndarray, float]]
"""From a video to the track of its face, one row per frame, and its frame rate."""


@dataclass(frozen=True, eq=False)
class Lips:
    """What drives the lips; with neither samples nor track they stay those of the video."""

    num_frames: int
    """Length of the result."""
    samples: np.ndarray | None = None
    """Sound that the lips follow."""
    track: np.ndarray | None = None
    """Track (num_frames, ...) of a face whose lips are followed."""

    def put_on(self, backbone: Backbone, track: np.ndarray, fps: float) -> np.ndarray:
        """A track (num_frames, ...) with these lips."""
        if self.samples is not None and isinstance(backbone, SpeechDriven):
            return backbone.with_speech(track, self.samples, fps)
        if self.track is not None and isinstance(backbone, LipDriven):
            return backbone.with_lips(track, self.track)
        return track


def chosen_lips(kind: BackboneKind, lips: LipsFrom | None, is_parity: bool = False) -> LipsFrom:
    """The wish, or what suits the backbone, or what the authors do.

    Raises:
        UserError: The backbone cannot do it.
    """
    if lips is None:
        return "own" if kind.keeps_lips and not is_parity else "speech"
    if lips == "own" and not kind.keeps_lips:
        raise UserError(f"--lips own: {kind.name} cannot read lips from pictures; use `--lips speech` or a sound file")
    if lips != "own" and not kind.hears:
        raise UserError(f"--lips {lips}: {kind.name} keeps the lips of the video; leave --lips out")
    # a class has the methods that its objects have
    if isinstance(lips, Path) and shows_pictures(lips) and not isinstance(kind, LipDriven):
        raise UserError(f"--lips {lips}: {kind.name} cannot follow the lips of a video; give a sound file")
    return lips


def driving_sound(lips: LipsFrom, video: Path) -> np.ndarray | None:
    """Samples (N,) that the lips follow, 16 kHz; None where they follow pictures.

    Args:
        lips: As `chosen_lips` gives it.
        video: The face to edit.

    Raises:
        UserError: There is no sound that can be used.
    """
    if lips == "own" or (isinstance(lips, Path) and shows_pictures(lips)):
        return None
    if isinstance(lips, Path):
        with told_of(lips, "--lips"):
            return read_sound(lips, SAMPLE_RATE_HZ)
    try:
        return read_sound(video, SAMPLE_RATE_HZ)
    except ClipError as error:
        raise UserError(f"{named(video, error.message)}; give the lips a sound to follow: --lips FILE") from error


def try_speech(backbone: Backbone, samples: np.ndarray, sound: Path) -> None:
    """Make sure that lips can follow a sound, which is else told only after the face was read.

    Raises:
        UserError: The sound is too short, or a network that the backbone needs for it is missing or damaged.
    """
    assert isinstance(backbone, SpeechDriven) and backbone.picture_px is not None
    track = backbone.track([np.zeros((backbone.picture_px, backbone.picture_px, 3), np.uint8)])
    with told_of(sound):
        backbone.with_speech(track, samples[:SAMPLE_RATE_HZ], SPEECH_FPS)


def find_lips(lips: LipsFrom, samples: np.ndarray | None, num_frames: int, fps: float, track_lips: TrackLips) -> Lips:
    """The lips for a video of this length and rate.

    Args:
        lips: As `chosen_lips` gives it.
        samples: As `driving_sound` gives them.
        num_frames: Length of the video.
        fps: Its rate, which is that of the result.
        track_lips: Tracks the face of a video.

    Raises:
        UserError: A lip video cannot be used.
    """
    if not isinstance(lips, Path):
        return Lips(num_frames, samples=samples)
    if samples is not None:
        return Lips(max(1, round(len(samples) / SAMPLE_RATE_HZ * fps)), samples=samples)
    with told_of(lips, "--lips"):
        track, lips_fps = track_lips(lips)
    wanted = max(1, round(len(track) / lips_fps * fps))
    return Lips(wanted, track=resampled(track, lips_fps, wanted, fps))


def shows_pictures(path: Path) -> bool:
    """Whether a file is a video; the cover of a song does not count."""
    try:
        with open_media(path) as container:
            return picture_track(container) is not None
    except av.FFmpegError:
        return False


def has_sound(path: Path) -> bool:
    """Whether a file holds a sound track."""
    try:
        with open_media(path) as container:
            return bool(container.streams.audio)
    except av.FFmpegError:
        return False
