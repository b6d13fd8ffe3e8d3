"""Give a video another emotion, heard from speech."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from cmet.backbones.protocol import Backbone
from cmet.backbones.registry import load_backbone
from cmet.backbones.tracks import fill_gaps
from cmet.connector.bundle import Bundle, load_bundle
from cmet.connector.inference import predict_directions
from cmet.errors import ClipError, UserError
from cmet.media.audio import AUDIO_SUFFIXES, read_audio
from cmet.media.crop import MAX_SHARE_WITH_TWO
from cmet.media.landmarks import find_faces
from cmet.media.prepare import frames_at_rate
from cmet.media.video import VideoFile, write_video
from cmet.outputs import fresh_file
from cmet.speech import SpeechEncoder, load_encoder
from cmet.speech.encoders import SAMPLE_RATE_HZ

CODE_FPS = 25
"""Rate of the expression codes C-MET was trained on."""

SPEECH_SUFFIXES = AUDIO_SUFFIXES | {".m4a", ".mp3", ".aac", ".mp4", ".mov", ".mkv"}
NUM_LOOKS = 12
"""Frames in which a second face is looked for before an edit starts."""

MIN_FACE_RATIO = 0.5
FADE_FRAMES = 5
"""Frames over which an edit fades where the face is lost."""

CRF = 14


@dataclass(frozen=True)
class EditReport:
    """What an edit did."""

    num_frames: int
    fps: float
    width_px: int
    height_px: int
    face_ratio: float
    mean_change: float
    """Root mean square of the added expression delta, in code units (1 is a typical emotional change)."""
    clamped_share: float
    """Share of speech features outside of what the model was trained on, which were brought back to its limit."""


@dataclass(frozen=True)
class Editor:
    """A trained model ready to edit."""

    bundle: Bundle
    backbone: Backbone
    encoder: SpeechEncoder

    @classmethod
    def load(cls, model: Path, backbone: str | None = None) -> "Editor":
        """Read a model folder.

        Raises:
            UserError: The folder holds no model, or one for another backbone than asked for.
        """
        bundle = load_bundle(model)
        config = bundle.config
        bundle.expect(backbone=backbone or config.backbone, speech_encoder=config.speech_encoder)
        return cls(bundle, load_backbone(config.backbone, model / "backbone"), load_encoder(config.speech_encoder))

    def embed(self, sounds: Sequence[Path], name: str) -> np.ndarray:
        """Embeddings of sound files, shape (N, D).

        Raises:
            UserError: A file cannot be used; the message names it and `name`, the option it came from.
        """
        if self.encoder.embed is None:
            raise UserError(
                f"this model hears with {self.encoder.name!r} features, which cannot be computed from a sound file here"
            )
        try:
            return np.stack([self.encoder.embed(read_audio(sound, SAMPLE_RATE_HZ)) for sound in sounds])
        except ClipError as error:
            raise UserError(f"{name}: {error.message}") from error

    def change(self, codes: np.ndarray, fps: float, direction: np.ndarray) -> np.ndarray:
        """Predicted expression delta for every frame, shape (T, K).

        Args:
            codes: Expression codes of the video, shape (T, K), at `fps`.
            fps: Frame rate of the codes; they are brought to the rate of the training and back.
            direction: Scaled speech direction, shape (D,).
        """
        instants = np.arange(len(codes)) / fps
        steps = np.arange(max(1, round(len(codes) * CODE_FPS / fps))) / CODE_FPS
        delta = predict_directions(self.bundle.connector, direction, _resample(codes, instants, steps))
        return _resample(delta, steps, instants)


def edit_video(
    video: Path,
    speech: Sequence[Path],
    neutral_speech: Sequence[Path],
    out: Path,
    editor: Editor,
    strength: float = 1.0,
    quiet: bool = False,
) -> EditReport:
    """Write `video` with the emotion of `speech`: own size and frame rate, sound kept, only the face changed.

    Args:
        video: The face to edit.
        speech: Recordings with the wanted emotion, by anyone.
        neutral_speech: Calm recordings, best by the same voice.
        out: Target mp4; appears whole or not at all.
        editor: The model.
        strength: Factor on the predicted change.
        quiet: Show no progress.

    Raises:
        UserError: A file cannot be used, or the video does not show exactly one face.
    """
    if out.resolve() == video.resolve():
        raise UserError(f"--out is the video itself ({video}); name another file")
    direction, clamped_share = speech_direction(editor, sound_files(speech), sound_files(neutral_speech))
    try:
        file = VideoFile(video)
        shown = frames_at_rate(file.start_times_s(), file.fps, round(file.duration_s() * file.fps)).tolist()
        _check_one_face(file)

        def frames(label: str) -> Iterator[np.ndarray]:
            return iter(tqdm(file.frames_at(shown), label, len(shown), unit="frame", disable=quiet))

        track = editor.backbone.track(frames("finding the face"))
        is_found = np.isfinite(track).reshape(len(track), -1).all(axis=1)
        if is_found.mean() < MIN_FACE_RATIO:
            raise ClipError("no_face", f"a face in {is_found.mean():.0%} of the frames of {video.name}")
        track = fill_gaps(track, is_found)
        codes = editor.backbone.encode(track)
        change = strength * editor.change(codes, file.fps, direction) * _presence(is_found)[:, None]
        with fresh_file(out) as unfinished:
            rendered = editor.backbone.render(frames("changing the face"), track, codes + change)
            num_frames = write_video(unfinished, rendered, file.fps, video, CRF)
    except ClipError as error:
        raise UserError(f"{video}: {error.message}") from error
    return EditReport(
        num_frames, file.fps, file.width, file.height, float(is_found.mean()),
        float(np.sqrt(np.mean(change**2))), clamped_share,
    )  # fmt: skip


def speech_direction(
    editor: Editor, speech: Sequence[Path], neutral_speech: Sequence[Path]
) -> tuple[np.ndarray, float]:
    """Speech direction (D,) as the model expects it, and the share of features that had to be clamped."""
    emotional, neutral = editor.embed(speech, "--speech"), editor.embed(neutral_speech, "--neutral-speech")
    direction = editor.bundle.speech_direction(neutral, emotional)
    is_clamped = np.abs(direction) >= editor.bundle.speech_limit_S
    return direction, float(is_clamped.mean())


def sound_files(paths: Sequence[Path]) -> list[Path]:
    """Files as given, and the sound files in folders, sorted.

    Raises:
        UserError: A folder holds no sound file.
    """
    files = []
    for path in paths:
        inside = sorted(p for p in path.iterdir() if p.suffix.lower() in SPEECH_SUFFIXES) if path.is_dir() else [path]
        if not inside:
            raise UserError(f"{path}: no sound file in this folder")
        files += inside
    return files


def _check_one_face(file: VideoFile) -> None:
    looks = np.unique(np.linspace(0, len(file) - 1, NUM_LOOKS).astype(int)).tolist()
    faces = [len(found) for found in find_faces(file.frames_at(looks))]
    if not any(faces):
        raise ClipError("no_face", f"no face found in {len(looks)} frames of the video")
    if sum(number > 1 for number in faces) > MAX_SHARE_WITH_TWO * len(faces):
        raise ClipError("two_faces", "the video shows two faces; cut it to the one that shall change")


def _presence(is_found: np.ndarray) -> np.ndarray:
    """Weight of the edit per frame: 1 where the face is seen, falling to 0 towards frames where it is not."""
    if is_found.all():
        return np.ones(len(is_found), np.float32)
    lost = np.flatnonzero(~is_found)
    distance = np.abs(np.arange(len(is_found))[:, None] - lost).min(axis=1)
    return np.minimum(distance / FADE_FRAMES, 1).astype(np.float32)


def _resample(values: np.ndarray, at: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Linear interpolation in time, per channel; held at the ends."""
    if len(at) == len(wanted) and np.allclose(at, wanted):
        return values
    return np.stack([np.interp(wanted, at, channel) for channel in values.T], axis=1).astype(np.float32)
