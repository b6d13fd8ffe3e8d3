"""The emotions of an edit: heard from speech or told, and what they change of a video, alone or one after the other.

Legend: T frames, K expression components, S speech features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from cmet.editing.editor import Editor, root_mean_square
from cmet.editing.emotions.speech import Heard, Stretches, hear, hear_stretches
from cmet.editing.emotions.transition import deltas_along, emotion_shares, timed_shares
from cmet.editing.messages import frames_said
from cmet.editing.reports import EmotionReport
from cmet.editing.wishes.options import (
    EditOptions,
    NamedEmotion,
    OneEmotion,
    WantedEmotion,
    emotion_said,
    recordings,
    shares_of,
)
from cmet.editing.wishes.timeline import Segment, Timeline, where, with_ends
from cmet.errors import ClipError, UserError

MAX_FOLLOWED_APART_S = 0.5
"""A recording and what follows it may differ in length by this."""


@dataclass(frozen=True, eq=False)
class KnownEmotion:
    """An emotion as the model has heard it, or as it has it on record; or a blend of several."""

    name: str
    heard: Heard | None
    """None where it was told, and for no change."""
    delta_S: np.ndarray | None
    """From calm speech, scaled and clamped; None for no change."""
    clamped_share: float = 0.0
    """Share of features that were brought back to the limit of the training."""
    weight: float = 1.0
    """Of all that a blend changes; a factor on the strength."""
    recordings: tuple[Path, ...] = ()
    """In which it was heard, as they were named."""
    parts: tuple["KnownEmotion", ...] = ()
    """The emotions of a blend of several."""
    segment: Segment | None = None
    """When it is shown; None where emotions have no times."""
    ease_s: float = 0.0
    """Seconds that the change to it takes, where it has a time."""
    course: "Course | None" = None
    """Where the face follows a recording."""
    likeness: Mapping[str, float] = field(default_factory=dict)
    """What it sounds like, as `Editor.likeness` gives it; empty where nothing was heard."""

    @property
    def is_told(self) -> bool:
        """Whether it was told by its name."""
        return self.heard is None and self.delta_S is not None


@dataclass(frozen=True, eq=False)
class Course:
    """How the speech delta goes along a recording."""

    deltas_MS: np.ndarray
    """Scaled and clamped, one for each stretch."""
    times_s: np.ndarray
    """In the middle of each stretch, shape (M,)."""
    duration_s: float
    """Of the recording."""

    @classmethod
    def of(cls, editor: Editor, heard: Stretches, neutral_NS: np.ndarray) -> "Course":
        """How a recording differs from calm speech."""
        deltas = [editor.bundle.scaled_speech_delta(neutral_NS, vector_S[None]) for vector_S in heard.vectors_MS]
        return cls(np.stack(deltas), heard.middles_s, heard.duration_s)

    def at(self, times_s: np.ndarray) -> np.ndarray:
        """Speech deltas at times in the recording, shape (N, S); before and after it those of its ends."""
        return np.stack([np.interp(times_s, self.times_s, delta_M) for delta_M in self.deltas_MS.T], axis=1)


UNCHANGED = KnownEmotion("neutral", None, None)


def know_emotions(
    editor: Editor, wanted: WantedEmotion | Timeline, neutral_NS: np.ndarray | None, options: EditOptions
) -> tuple[KnownEmotion, ...]:
    """All emotions of an edit in their order. What is wished for twice is heard once.

    Raises:
        UserError: As `know_emotion`.
    """
    if not isinstance(wanted, Timeline):
        named = [("--speech", wanted), *(("--then", emotion) for emotion in options.then)]
        return tuple(know_emotion(editor, emotion, neutral_NS, option) for option, emotion in named)
    known: dict[tuple[object, ...], KnownEmotion] = {}
    found = []
    for number, segment in enumerate(wanted.segments):
        key = tuple((_key(share.emotion), share.weight) for share in segment.blend)
        if key not in known:
            _check_names(editor, segment, where(segment, number))
            known[key] = know_emotion(editor, segment.blend, neutral_NS, where(segment, number))
        ease_s = 0.0 if options.transition == "switch" else wanted.ease_s
        course = None
        if segment.follows:
            assert neutral_NS is not None
            name = where(segment, number)
            heard = hear_stretches(editor.encoder, recordings(segment.blend), name, options.is_quiet)
            course = Course.of(editor, heard, neutral_NS)
        found.append(replace(known[key], segment=segment, ease_s=ease_s, course=course))
    return tuple(found)


def _check_names(editor: Editor, segment: Segment, name: str) -> None:
    for share in segment.blend:
        if isinstance(share.emotion, NamedEmotion):
            try:
                editor.bundle.told_speech_delta(share.emotion.name)
            except UserError as error:
                raise UserError(f"{name}: {error}") from error


def _key(emotion: OneEmotion) -> object:
    return emotion if isinstance(emotion, NamedEmotion | str) else tuple(emotion)


def know_emotion(editor: Editor, emotion: WantedEmotion, neutral_NS: np.ndarray | None, option: str) -> KnownEmotion:
    """What the model hears in the recordings, or has on record of an emotion that is told.

    The speech deltas of a blend are averaged by their weights and go through the model together; what the weights add
    up to is a factor on the strength. No change has no delta: its weight is not in the mean, and takes nothing from the
    others. (With the built-in model the mean of the predicted deltas comes out much the same: for all pairs of told
    emotions the cosine of the two is 0.92 or more.)

    Args:
        editor: The model.
        emotion: The recordings, an emotion that is told, no change, or a blend of such.
        neutral_NS: Embeddings of calm speech; needed for recordings only.
        option: Where the recordings were named.

    Raises:
        UserError: A recording cannot be used, or the model does not know the emotion that is told.
    """
    shares = [(share.weight, _know_one(editor, share.emotion, neutral_NS, option)) for share in shares_of(emotion)]
    changing = [(weight, known) for weight, known in shares if known.delta_S is not None]
    if len(shares) == 1 or not changing:
        weight, known = shares[0]
        return replace(known, name=emotion_said(emotion), weight=weight)
    weights = np.array([weight for weight, _ in changing])
    (delta_S,) = deltas_along(weights[None] / weights.sum(), [known.delta_S for _, known in changing])
    clamped = sum(weight * known.clamped_share for weight, known in changing) / weights.sum()
    heard = [known.heard for _, known in changing if known.heard is not None]
    delta_S = delta_S.astype(np.float32)
    return KnownEmotion(
        emotion_said(emotion), Heard.together(heard) if heard else None, delta_S, float(clamped), float(weights.sum()),
        parts=tuple(known for _, known in changing), likeness=editor.likeness(delta_S) if heard else {},
    )  # fmt: skip


def _know_one(editor: Editor, emotion: OneEmotion, neutral_NS: np.ndarray | None, option: str) -> KnownEmotion:
    if isinstance(emotion, str):
        return KnownEmotion(emotion, None, None)
    if isinstance(emotion, NamedEmotion):
        return KnownEmotion(emotion.name, None, editor.bundle.told_speech_delta(emotion.name))
    assert neutral_NS is not None
    heard = hear(editor.encoder, emotion, option)
    delta_S = editor.bundle.scaled_speech_delta(neutral_NS, heard.vectors_NS)
    is_clamped_S = np.abs(delta_S) >= editor.bundle.speech_limit_S
    return KnownEmotion(
        emotion_said(emotion), heard, delta_S, float(is_clamped_S.mean()), recordings=tuple(emotion),
        likeness=editor.likeness(delta_S),
    )  # fmt: skip


def check_num_windows(editor: Editor, emotions: Sequence[KnownEmotion], num_frames: int, fps: float) -> None:
    """Make sure that each emotion can be shown.

    Raises:
        ClipError: `too_short`.
        UserError: A segment lies beyond the end, or is shorter than a window.
    """
    num_windows, window = editor.num_windows(num_frames, fps), editor.bundle.connector.window
    window_s = window / editor.clips.fps
    segments = [emotion.segment for emotion in emotions if emotion.segment is not None]
    if segments:
        for number, (emotion, segment) in enumerate(
            zip(emotions, with_ends(segments, num_frames / fps, fps), strict=True)
        ):
            assert segment.end_s is not None
            lasts_s = segment.end_s - segment.start_s
            if lasts_s < min(window_s, num_frames / fps) - 1e-6:
                raise UserError(
                    f"{where(segment, number)}: lasts {lasts_s:.3g} s; give it {window_s:g} s or more, a window of the "
                    "model"
                )
            if emotion.course is not None and abs(emotion.course.duration_s - lasts_s) > MAX_FOLLOWED_APART_S:
                raise UserError(
                    f"{where(segment, number)}: {emotion.name} lasts {emotion.course.duration_s:.1f} s, but what shall "
                    f"follow it {lasts_s:.1f} s; give a recording as long as that, or do not follow it"
                )
        return
    if num_windows < len(emotions):
        raise ClipError(
            "too_short",
            f"{frames_said(num_frames)} hold {num_windows} window(s) of {window_s:g} s, but each of "
            f"the {len(emotions)} emotions needs one; take a longer video or fewer emotions",
        )


def laid_out(editor: Editor, emotions: Sequence[KnownEmotion], num_frames: int, fps: float) -> list[KnownEmotion]:
    """Emotions with times so that one follows the other from the first frame to the last: no change in the gaps.

    A gap shorter than a window of the model is left to the emotion beside it. Emotions without times stay as they are.
    """
    segments = [emotion.segment for emotion in emotions if emotion.segment is not None]
    if not segments:
        return list(emotions)
    duration_s, shortest_s = num_frames / fps, editor.bundle.connector.window / editor.clips.fps - 1e-6
    found: list[KnownEmotion] = []
    reached_s = 0.0
    for emotion, segment in zip(emotions, with_ends(segments, duration_s, fps), strict=True):
        assert segment.end_s is not None
        if segment.start_s - reached_s >= shortest_s:
            found.append(_gap(reached_s, segment.start_s, emotion.ease_s))
        found.append(replace(emotion, segment=segment))
        reached_s = segment.end_s
    if duration_s - reached_s >= shortest_s:
        found.append(_gap(reached_s, duration_s, emotions[-1].ease_s))
    return found


def always_shown(emotion: KnownEmotion) -> KnownEmotion:
    """The emotion from the first frame to the last, however many there are."""
    if emotion.segment is None:
        return emotion
    return replace(emotion, segment=replace(emotion.segment, start_s=0.0, end_s=None))


def _gap(start_s: float, end_s: float, ease_s: float) -> KnownEmotion:
    return replace(UNCHANGED, segment=Segment(start_s, end_s, ()), ease_s=ease_s)


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

    Emotions without times share the speech delta of each window, as in the paper's continuous editing. With times, each
    frame shares what they do alone: the former makes jumps from window to window where emotions follow each other fast.

    Args:
        editor: The model.
        emotions: In their order; at least one has a delta.
        codes_TK: Expression codes at `fps`, for which `check_num_windows` holds.
        fps: Frame rate.
        presence_T: Weight of the edit per frame.
        options: Strength and transition.
    """
    along = laid_out(editor, emotions, len(codes_TK), fps)
    alone = _deltas_alone(editor, along, codes_TK, fps, presence_T)
    strengths = [
        0.0 if emotion.delta_S is None else _strength(editor, emotion, delta_TK, options)
        for emotion, delta_TK in zip(along, alone, strict=True)
    ]
    reports = [
        EmotionReport(
            emotion.name,
            root_mean_square(strength * delta_TK),
            strength,
            dict(emotion.likeness),
            emotion.clamped_share,
            emotion.is_told,
            *(() if emotion.segment is None else (emotion.segment.start_s, emotion.segment.end_s)),
        )
        for emotion, delta_TK, strength in zip(along, alone, strengths, strict=True)
        if emotion.segment is None or emotion.segment.blend
    ]
    if len(along) == 1:
        return strengths[0] * alone[0], reports
    if along[0].segment is not None:
        return _crossfaded(along, strengths, alone, fps), reports
    shares = emotion_shares(editor.num_windows(len(codes_TK), fps), len(along), options.transition or "smooth")
    deltas = deltas_along(shares, [emotion.delta_S for emotion in along])
    delta_TK = editor.predict_delta(codes_TK, fps, deltas, shares @ np.array(strengths))
    return delta_TK * presence_T[:, None], reports


def _crossfaded(
    along: Sequence[KnownEmotion], strengths: Sequence[float], alone: Sequence[np.ndarray], fps: float
) -> np.ndarray:
    """What emotions with times change one after the other, shape (T, K)."""
    starts_s = [emotion.segment.start_s for emotion in along if emotion.segment is not None]
    num_frames = len(alone[0])
    shares_TE = timed_shares(num_frames, fps, starts_s, num_frames / fps, [emotion.ease_s for emotion in along])
    delta_TK = np.zeros_like(alone[0])
    for share_T, strength, alone_TK in zip(shares_TE.T, strengths, alone, strict=True):
        delta_TK += (share_T * strength).astype(np.float32)[:, None] * alone_TK
    return delta_TK


def _strength(editor: Editor, emotion: KnownEmotion, delta_TK: np.ndarray, options: EditOptions) -> float:
    wished = options.strength
    if emotion.segment is not None and emotion.segment.strength is not None:
        wished = emotion.segment.strength
    return emotion.weight * editor.strength_for(delta_TK, wished, emotion.likeness)


def _deltas_alone(
    editor: Editor, emotions: Sequence[KnownEmotion], codes_TK: np.ndarray, fps: float, presence_T: np.ndarray
) -> list[np.ndarray]:
    """Predicted delta of each emotion, shape (T, K), as if it were shown all the time; each speech delta goes once."""
    known: dict[int, np.ndarray] = {}
    for emotion in emotions:
        if _source(emotion) not in known:
            known[_source(emotion)] = _delta_alone(editor, emotion, codes_TK, fps) * presence_T[:, None]
    return [known[_source(emotion)] for emotion in emotions]


def _source(emotion: KnownEmotion) -> int:
    """What the prediction is made of."""
    return id(emotion.delta_S if emotion.course is None else emotion.course)


def _delta_alone(editor: Editor, emotion: KnownEmotion, codes_TK: np.ndarray, fps: float) -> np.ndarray:
    """Predicted delta, shape (T, K), as if this emotion were shown all the time."""
    if emotion.delta_S is None:
        return np.zeros_like(codes_TK)
    if emotion.course is None or emotion.segment is None:
        return editor.predict_delta(codes_TK, fps, emotion.delta_S)
    return _delta_along(editor, emotion.course, emotion.segment.start_s, codes_TK, fps)


def _delta_along(editor: Editor, course: Course, start_s: float, codes_TK: np.ndarray, fps: float) -> np.ndarray:
    """Predicted delta, shape (T, K), that follows a recording from a time on.

    Each window is predicted with the speech delta of its start and with that of its end, and goes from one to the
    other: with one for each window there would be a jump between windows.
    """
    window_s = editor.bundle.connector.window / editor.clips.fps
    edges_s = np.arange(editor.num_windows(len(codes_TK), fps) + 1) * window_s - start_s
    deltas_ES = course.at(edges_s)
    first_TK, last_TK = (editor.predict_delta(codes_TK, fps, some) for some in (deltas_ES[:-1], deltas_ES[1:]))
    gone_T = ((np.arange(len(codes_TK)) + 0.5) / fps / window_s % 1).astype(np.float32)
    return first_TK + gone_T[:, None] * (last_TK - first_TK)
