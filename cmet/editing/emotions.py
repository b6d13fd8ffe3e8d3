"""The emotions of an edit: heard from speech or told, and what they change of a video, alone or one after the other.

Legend: T frames, K expression components, S speech features.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cmet.editing.editor import Editor, root_mean_square
from cmet.editing.options import EditOptions, EmotionReport, NamedEmotion, WantedEmotion, frames_said
from cmet.editing.speech import Heard, hear
from cmet.editing.transition import deltas_along, emotion_shares
from cmet.errors import ClipError


@dataclass(frozen=True, eq=False)
class KnownEmotion:
    """An emotion as the model has heard it, or as it has it on record."""

    name: str
    heard: Heard | None
    """None where it was told, and for no change."""
    delta_S: np.ndarray | None
    """From calm speech, scaled and clamped; None for no change."""
    clamped_share: float = 0.0
    """Share of features that were brought back to the limit of the training."""

    @property
    def is_told(self) -> bool:
        """Whether it was told by its name."""
        return self.heard is None and self.delta_S is not None


def know_emotion(editor: Editor, emotion: WantedEmotion, neutral_NS: np.ndarray | None, option: str) -> KnownEmotion:
    """What the model hears in the recordings, or has on record of an emotion that is told.

    Args:
        editor: The model.
        emotion: The recordings, an emotion that is told, or no change.
        neutral_NS: Embeddings of calm speech; needed for recordings only.
        option: Where the recordings were named.

    Raises:
        UserError: A recording cannot be used, or the model does not know the emotion that is told.
    """
    if isinstance(emotion, str):
        return KnownEmotion(emotion, None, None)
    if isinstance(emotion, NamedEmotion):
        return KnownEmotion(emotion.name, None, editor.bundle.told_speech_delta(emotion.name))
    assert neutral_NS is not None
    heard = hear(editor.encoder, emotion, option)
    delta_S = editor.bundle.scaled_speech_delta(neutral_NS, heard.vectors_NS)
    is_clamped_S = np.abs(delta_S) >= editor.bundle.speech_limit_S
    first, *others = emotion
    name = f"{first} and {len(others)} more" if others else str(first)
    return KnownEmotion(name, heard, delta_S, float(is_clamped_S.mean()))


def check_num_windows(editor: Editor, emotions: Sequence[KnownEmotion], num_frames: int, fps: float) -> None:
    """Make sure that each emotion can be shown.

    Raises:
        ClipError: `too_short`.
    """
    num_windows, window = editor.num_windows(num_frames, fps), editor.bundle.connector.window
    if num_windows < len(emotions):
        raise ClipError(
            "too_short",
            f"{frames_said(num_frames)} hold {num_windows} window(s) of {window / editor.clips.fps:g} s, but each of "
            f"the {len(emotions)} emotions needs one; take a longer video or fewer emotions",
        )


def emotional_delta(
    editor: Editor,
    emotions: Sequence[KnownEmotion],
    codes_TK: np.ndarray,
    fps: float,
    presence_T: np.ndarray,
    options: EditOptions,
) -> tuple[np.ndarray, list[EmotionReport]]:
    """What to add to the code of every frame, shape (T, K), and what each emotion does where it stands alone.

    A strength that is not given is found for each emotion as if it were shown all the time, so that a faint one makes
    no other stronger. A change that is like no emotion the model knows is not made stronger: it may be the wrong one.
    Strengths go along with the deltas.

    Args:
        editor: The model.
        emotions: In their order; at least one has a delta.
        codes_TK: Expression codes at `fps`, with a window for each emotion.
        fps: Frame rate.
        presence_T: Weight of the edit per frame.
        options: Strength and transition.
    """
    alone = [_delta_alone(editor, emotion, codes_TK, fps) * presence_T[:, None] for emotion in emotions]
    likenesses = [
        {} if emotion.is_told else editor.bundle.config.likeness(delta_TK)
        for emotion, delta_TK in zip(emotions, alone, strict=True)
    ]
    strengths = [
        0.0 if emotion.delta_S is None else editor.strength_for(delta_TK, options.strength, likeness)
        for emotion, delta_TK, likeness in zip(emotions, alone, likenesses, strict=True)
    ]
    reports = [
        EmotionReport(
            emotion.name,
            root_mean_square(strength * delta_TK),
            strength,
            likeness,
            emotion.clamped_share,
            emotion.is_told,
        )
        for emotion, delta_TK, strength, likeness in zip(emotions, alone, strengths, likenesses, strict=True)
    ]
    if len(emotions) == 1:
        return strengths[0] * alone[0], reports
    shares = emotion_shares(editor.num_windows(len(codes_TK), fps), len(emotions), options.transition or "smooth")
    deltas = deltas_along(shares, [emotion.delta_S for emotion in emotions])
    delta_TK = editor.predict_delta(codes_TK, fps, deltas, shares @ np.array(strengths))
    return delta_TK * presence_T[:, None], reports


def _delta_alone(editor: Editor, emotion: KnownEmotion, codes_TK: np.ndarray, fps: float) -> np.ndarray:
    """Predicted delta, shape (T, K), as if this emotion were shown all the time."""
    if emotion.delta_S is None:
        return np.zeros_like(codes_TK)
    return editor.predict_delta(codes_TK, fps, emotion.delta_S)
