"""Single frames of a video as an edit would show them, at once, before the whole is made.

Legend: T frames, K expression components.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from cmet.backbones.facemesh.model import FaceMovement
from cmet.editing.editor import Editor
from cmet.editing.emotions.known import KnownEmotion, check_num_windows, emotional_delta, know_emotions
from cmet.editing.emotions.likeness import HeardEmotion, heard_emotions, warnings_of
from cmet.editing.emotions.speech import hear
from cmet.editing.frames.prepared import PreparedVideo
from cmet.editing.frames.source import Source, counted_frames
from cmet.editing.reports import EmotionReport
from cmet.editing.wishes.options import EditOptions, WantedEmotion
from cmet.editing.wishes.timeline import Timeline

MAX_STILLS = 240
"""Frames of a video that can be shown, evenly along it: one each 0.04 s of ten seconds."""

QUALITY = 92
"""Of the stills, as JPEG has it."""


@dataclass(frozen=True, eq=False)
class PreviewedChange:
    """What emotions change of a video."""

    movement: FaceMovement
    emotions: tuple[EmotionReport, ...]
    """What each does where it stands alone."""
    heard: tuple[HeardEmotion, ...] = ()
    """What recordings sound like, of whatever video."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """As `EditReport` has them."""
        return warnings_of(self.heard)


@dataclass(frozen=True, eq=False)
class Preview:
    """A video in which the face has been found, and some of its frames to try changes on."""

    editor: Editor
    prepared: PreparedVideo
    indices: tuple[int, ...]
    """Frames that can be shown."""
    stills: tuple[bytes, ...]
    """Each of them, as JPEG."""

    @classmethod
    def of(cls, video: Path, editor: Editor) -> "Preview":
        """Find the face and keep some frames; this reads the whole video.

        Args:
            video: The face to edit.
            editor: The model, of a backbone that changes frames in place.

        Raises:
            ClipError: The video cannot be used.
        """
        source = Source(video)
        prepared = PreparedVideo.of(source, editor, is_quiet=True)
        indices = np.unique(np.linspace(0, len(source) - 1, MAX_STILLS).round().astype(int)).tolist()
        frames = counted_frames(source.frames(indices), "keeping some frames", len(indices), is_quiet=True)
        stills = tuple(as_jpeg(frame) for frame in frames)
        # another source: this one may hold all frames
        return cls(editor, replace(prepared, source=Source(video)), tuple(indices), stills)

    @property
    def duration_s(self) -> float:
        """Length of the video."""
        return len(self.prepared.codes_TK) / self.prepared.source.fps

    @property
    def telling_s(self) -> float:
        """The moment to look at first: the middle, or the nearest to it at which an edit shows most.

        Many videos begin before the face does, or with a face that has not begun to speak.
        """
        presence_T, fps = self.prepared.presence_T, self.prepared.source.fps
        shown = [index for index in self.indices if presence_T[index] == presence_T.max()]
        middle = (len(presence_T) - 1) / 2
        return min(shown, key=lambda index: abs(index - middle), default=0) / fps

    def nearest(self, time_s: float) -> int:
        """Which still is nearest to a time."""
        wanted = time_s * self.prepared.source.fps
        return int(np.abs(np.array(self.indices) - wanted).argmin())

    def change(self, emotions: Sequence[KnownEmotion], options: EditOptions) -> PreviewedChange:
        """What the emotions change of the video, as in an edit.

        Raises:
            ClipError: It is too short for them.
            UserError: They have times that it has not.
        """
        codes_TK, fps = self.prepared.codes_TK, self.prepared.source.fps
        check_num_windows(self.editor, emotions, len(codes_TK), fps)
        delta_TK, told = emotional_delta(self.editor, emotions, codes_TK, fps, self.prepared.presence_T, options)
        return PreviewedChange(self.prepared.movement(delta_TK), tuple(told), heard_emotions(emotions))

    def after(self, number: int, change: PreviewedChange) -> bytes:
        """A still with the change, as JPEG; see `PreparedVideo.drawn_frame`."""
        index = self.indices[number]
        frame = cv2.imdecode(np.frombuffer(self.stills[number], np.uint8), cv2.IMREAD_COLOR_RGB)
        assert frame is not None
        return as_jpeg(self.prepared.drawn_frame(index, frame, change.movement))


def known_wishes(
    editor: Editor, wanted: WantedEmotion | Timeline, neutral_speech: Sequence[Path]
) -> tuple[KnownEmotion, ...]:
    """What a model hears in recordings, or has on record of emotions that are told, whatever the video.

    Raises:
        UserError: As `know_emotions`.
    """
    neutral = hear(editor.encoder, neutral_speech, "--neutral-speech") if neutral_speech else None
    neutral_NS = None if neutral is None else neutral.vectors_NS
    return know_emotions(editor, wanted, neutral_NS, EditOptions())


def as_jpeg(picture: np.ndarray) -> bytes:
    """A picture (H, W, 3), RGB uint8, as the bytes of a JPEG file."""
    done, encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    assert done
    return encoded.tobytes()
