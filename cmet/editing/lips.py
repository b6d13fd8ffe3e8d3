"""Whose lips the edited face shows, and what is heard of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from cmet.backbones.protocol import Backbone, LipDriven, SpeechDriven
from cmet.backbones.timing import resampled
from cmet.editing.options import LipsFrom, told_of
from cmet.errors import ClipError, UserError
from cmet.media.audio import AUDIO_SUFFIXES, read_audio
from cmet.speech.encoders import SAMPLE_RATE_HZ

TrackLips = Callable[[Path], tuple[np.ndarray, float]]
"""From a video to the track of its face, one row per frame, and its frame rate."""


@dataclass(frozen=True, eq=False)
class Lips:
    """What drives the lips; with neither samples nor track they stay those of the video."""

    sound: Path
    """Sound of the result."""
    num_frames: int
    """Length of the result."""
    samples: np.ndarray | None = None
    """Sound that the lips follow."""
    track: np.ndarray | None = None
    """Track (num_frames, ...) of a face whose lips are followed."""

    def put_on(self, backbone: Backbone, track: np.ndarray, fps: float) -> np.ndarray:
        """A track (num_frames, ...) with these lips.

        Raises:
            UserError: The sound is too short.
        """
        if self.samples is not None and isinstance(backbone, SpeechDriven):
            with told_of(self.sound):
                return backbone.with_speech(track, self.samples, fps)
        if self.track is not None and isinstance(backbone, LipDriven):
            return backbone.with_lips(track, self.track)
        return track


def chosen_lips(backbone: Backbone, lips: LipsFrom | None, is_parity: bool = False) -> LipsFrom:
    """The wish, or what suits the backbone, or what the authors do.

    Raises:
        UserError: The backbone cannot do it.
    """
    if lips is None:
        return "own" if backbone.keeps_lips and not is_parity else "speech"
    if lips == "own" and not backbone.keeps_lips:
        raise UserError(f"--lips own: {backbone.name} reads no lips off pictures; use `--lips speech` or a sound file")
    if lips != "own" and not isinstance(backbone, SpeechDriven):
        raise UserError(f"--lips {lips}: {backbone.name} keeps the lips of the video; leave --lips out")
    if isinstance(lips, Path):
        if not lips.is_file():
            raise UserError(f"--lips {lips}: no such file; give own, speech, a sound file or a video")
        if shows_pictures(lips) and not isinstance(backbone, LipDriven):
            raise UserError(f"--lips {lips}: {backbone.name} follows no lips of a video; give a sound file")
    return lips


def find_lips(lips: LipsFrom, video: Path, num_frames: int, fps: float, track_lips: TrackLips) -> Lips:
    """The lips for a video of this length and rate.

    Args:
        lips: As `chosen_lips` gives it.
        video: The face to edit.
        num_frames: Its length.
        fps: Its rate, which is that of the result.
        track_lips: Tracks the face of a video.

    Raises:
        UserError: A file cannot be used, or the video has no sound.
    """
    if lips == "own":
        return Lips(video, num_frames)
    if lips == "speech":
        return Lips(video, num_frames, samples=read_own_sound(video))
    assert isinstance(lips, Path)
    with told_of(lips):
        if shows_pictures(lips):
            track, lips_fps = track_lips(lips)
            wanted = max(1, round(len(track) / lips_fps * fps))
            return Lips(lips, wanted, track=resampled(track, lips_fps, wanted, fps))
        samples = read_audio(lips, SAMPLE_RATE_HZ)
        return Lips(lips, max(1, round(len(samples) / SAMPLE_RATE_HZ * fps)), samples=samples)


def read_own_sound(video: Path) -> np.ndarray:
    """Samples (N,) of a video's sound, 16 kHz.

    Raises:
        UserError: It has none that can be used.
    """
    try:
        return read_audio(video, SAMPLE_RATE_HZ)
    except ClipError as error:
        raise UserError(f"{video}: {error.message}; give a sound that drives the lips: --lips FILE") from error


def shows_pictures(path: Path) -> bool:
    """Whether a file is a video; the cover of a song does not count."""
    if path.suffix.lower() in AUDIO_SUFFIXES:
        return False
    try:
        with av.open(str(path), metadata_errors="ignore") as container:
            return any(
                not stream.disposition & av.stream.Disposition.attached_pic for stream in container.streams.video
            )
    except av.FFmpegError:
        return False
