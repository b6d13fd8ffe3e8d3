"""Videos edited with each emotion, and the expression deltas that were predicted for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path

import numpy as np

from cmet.editing.editor import Editor, root_mean_square
from cmet.editing.reports import EditReport
from cmet.editing.video import edit_video
from cmet.editing.wishes.options import EditOptions
from cmet.errors import UserError
from cmet.extended.hearing import EXTENDED, VIDEO, LeftOut
from cmet.extended.intervals import ClipBootstrap, Measure, cosines
from cmet.extended.product import ExtendedResult
from cmet.extended.table import ALIKE, CLAMPED, CONSISTENCY, COSINE, FACE, FACTOR, NEAREST, STRENGTH, NumberRow, row
from cmet.outputs import as_utf8
from cmet.progress import progress

# T frames, K expression components, V videos


@dataclass(frozen=True)
class ListeningEditor(Editor):
    """An editor that keeps the deltas it predicts, before any factor."""

    predicted: list[np.ndarray] = field(default_factory=list)
    """Of each edit, shape (T, K)."""

    @classmethod
    def around(cls, editor: Editor) -> "ListeningEditor":
        """The same model."""
        return cls(editor.bundle, editor.kind, editor.encoder, editor.opens)

    def predict_delta(
        self, codes: np.ndarray, fps: float, speech_delta: np.ndarray, strengths: np.ndarray | None = None
    ) -> np.ndarray:
        """As `Editor.predict_delta`."""
        self.predicted.append(super().predict_delta(codes, fps, speech_delta, strengths))
        return self.predicted[-1]


@dataclass(frozen=True, eq=False)
class Edit:
    """One video with one emotion."""

    emotion: str
    path: Path
    """The edited video."""
    report: EditReport
    mean_delta_K: np.ndarray
    """Mean predicted delta."""
    size: float
    """Root mean square of the predicted delta, in code units."""
    likeness: dict[str, float]
    """Cosine with the mean delta of each emotion the model was trained on."""


@dataclass(frozen=True, eq=False)
class EditedVideo:
    """One video with all emotions that could be given to it."""

    name: str
    """As a folder and in the table."""
    source: Path
    edits: list[Edit]


def edit_videos(
    videos: Sequence[Path],
    speech: Mapping[str, Sequence[Path]],
    neutral_speech: Sequence[Path],
    editor: Editor,
    out: ExtendedResult,
    is_quiet: bool,
) -> tuple[list[EditedVideo], list[LeftOut]]:
    """Edit every video with every emotion, into the clips of a result.

    A video that cannot be edited is left out at its first failure.

    Raises:
        UserError: No video can be edited.
    """
    listening = ListeningEditor.around(editor)
    options = EditOptions(is_quiet=True)
    edited, left_out = [], []
    with progress("editing", len(videos) * len(speech), "clip", is_quiet=is_quiet) as bar:
        for name, video in zip(_names(videos), videos, strict=True):
            edits: list[Edit] = []
            try:
                for emotion, paths in speech.items():
                    target = out.clip(name, emotion)
                    report = edit_video(video, paths, neutral_speech, target, listening, options)
                    edits.append(_edit(emotion, target, report, listening))
                    bar.update()
            except UserError as error:
                left_out.append(LeftOut(VIDEO, None, video, str(error)))
                bar.update(len(speech) - len(edits))
            if edits:
                edited.append(EditedVideo(name, video, edits))
    if not edited:
        raise UserError(f"none of {len(videos)} video(s) can be edited; first: {left_out[0].reason}")
    return edited, left_out


def face_rows(edited: Sequence[EditedVideo], seed: int) -> list[NumberRow]:
    """Numbers of the predicted deltas: of each video, and over videos."""
    rows = []
    for video in edited:
        for edit in video.edits:
            rows += _video_rows(video.name, edit)
    by_emotion: dict[str, list[Edit]] = {}
    for edit in (edit for video in edited for edit in video.edits):
        by_emotion.setdefault(edit.emotion, []).append(edit)
    for emotion, edits in by_emotion.items():
        rows += _emotion_rows(emotion, edits, seed)
        rows += [_alike_row(emotion, other, edited) for other in by_emotion]
    return rows


def _edit(emotion: str, path: Path, report: EditReport, listening: ListeningEditor) -> Edit:
    delta_TK = listening.predicted[-1]
    return Edit(
        emotion, path, report, delta_TK.mean(axis=0, dtype=np.float64), root_mean_square(delta_TK),
        listening.bundle.config.likeness(delta_TK),
    )  # fmt: skip


def _video_rows(video: str, edit: Edit) -> list[NumberRow]:
    numbers = {
        **{COSINE + name: value for name, value in edit.likeness.items()},
        STRENGTH: edit.size,
        FACTOR: edit.report.strength,
        CLAMPED: edit.report.clamped_share,
    }
    return [
        NumberRow(FACE, EXTENDED, edit.emotion, measure, value, 1, video=video) for measure, value in numbers.items()
    ]


def _emotion_rows(emotion: str, edits: list[Edit], seed: int) -> list[NumberRow]:
    """Means over videos, with intervals over videos where there are enough of them."""
    bootstrap = ClipBootstrap(len(edits), seed)
    names = sorted(edits[0].likeness)
    numbers_VE = np.array([[*(edit.likeness[name] for name in names), edit.size] for edit in edits])
    means = bootstrap.of_mean(numbers_VE, lambda means: means)
    deltas_VK = np.stack([edit.mean_delta_K for edit in edits])
    rows = [
        row(FACE, EXTENDED, emotion, measure, found)
        for measure, found in zip([*(COSINE + name for name in names), STRENGTH], means, strict=True)
    ]
    if names:
        nearest = max(range(len(names)), key=lambda place: numbers_VE[:, place].mean())
        rows.append(row(FACE, EXTENDED, emotion, NEAREST, means[nearest], answer=names[nearest]))
    consistency = bootstrap.consistency(deltas_VK, "video")
    clamped = Measure(edits[0].report.clamped_share, len(edits))  # the speech is the same for all videos
    return [
        *rows,
        row(FACE, EXTENDED, emotion, CONSISTENCY, consistency),
        row(FACE, EXTENDED, emotion, CLAMPED, clamped),
    ]


def _alike_row(emotion: str, other: str, edited: Sequence[EditedVideo]) -> NumberRow:
    """Cosine between the mean deltas of two emotions, mean over the videos that have both."""
    values = []
    for video in edited:
        deltas = {edit.emotion: edit.mean_delta_K[None] for edit in video.edits}
        if emotion in deltas and other in deltas:
            values.append(float(cosines(deltas[emotion], deltas[other])[0, 0]))
    known = [value for value in values if np.isfinite(value)]
    return NumberRow(FACE, EXTENDED, emotion, ALIKE + other, float(np.mean(known)) if known else None, len(known))


def _names(videos: Sequence[Path]) -> list[str]:
    """A name per video: that of its file, numbered where several have the same."""
    names: list[str] = []
    for video in videos:
        stem = as_utf8(video.stem)
        candidates = chain([stem], (f"{stem}-{number}" for number in count(2)))
        names.append(next(name for name in candidates if name not in names))
    return names
