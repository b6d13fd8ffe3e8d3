"""One video edited: at its own frame rate, at its own size unless its face square is wished for, and with a sound."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cmet.backbones.protocol import Backbone
from cmet.backbones.tracks import fill_gaps
from cmet.editing.editor import Editor, root_mean_square
from cmet.editing.framing import (
    FADE_FRAMES,
    MIN_FACE_RATIO,
    FaceSquare,
    faded,
    find_square,
    looks,
    pasted,
    refuse_two_faces,
)
from cmet.editing.lips import chosen_lips, find_lips
from cmet.editing.options import CRF, EditOptions, EditReport, Framing, LipsFrom, told_of
from cmet.editing.schedule import there_and_back
from cmet.editing.source import Source, counted, resize_remark
from cmet.editing.speech import Heard, hear
from cmet.errors import ClipError, UserError
from cmet.media.landmarks import find_faces
from cmet.media.video import write_video
from cmet.outputs import fresh_file

NUM_LOOKS = 12
"""Frames in which faces are counted where no square is looked for."""


@dataclass(frozen=True)
class _Job:
    """What both ways of editing need."""

    editor: Editor
    direction: np.ndarray
    options: EditOptions
    lips: LipsFrom
    out: Path


def edit_video(
    video: Path,
    speech: Sequence[Path],
    neutral_speech: Sequence[Path],
    out: Path,
    editor: Editor,
    options: EditOptions | None = None,
) -> EditReport:
    """Write `video` with the emotion of `speech`.

    Args:
        video: The face to edit.
        speech: Recordings with the wanted emotion, by anyone.
        neutral_speech: Calm recordings, best by the same voice.
        out: Target mp4; appears whole or not at all.
        editor: The model.
        options: What else is wished for.

    Raises:
        UserError: A file cannot be used, the video does not show exactly one face, or the backbone cannot do what is
            wished for.
    """
    options = options or EditOptions()
    _check_wishes(video, out, editor.backbone, options)
    lips = chosen_lips(editor.backbone, options.lips, is_parity=options.is_parity)
    emotional = hear(editor.encoder, speech, "--speech")
    neutral = hear(editor.encoder, neutral_speech, "--neutral-speech")
    remarks = _absence(editor, emotional, neutral)
    if options.is_parity:
        # facemesh must not wait for the networks of the others
        from cmet.editing.parity import edit_as_published

        report = edit_as_published(video, neutral.vectors_NS, emotional.vectors_NS, out, editor, lips, options)
        return replace(report, remarks=report.remarks + remarks)
    direction = editor.bundle.speech_direction(neutral.vectors_NS, emotional.vectors_NS)
    edit = _edit_in_place if editor.backbone.picture_px is None else _edit_by_drawing
    with told_of(video):
        report = edit(Source(video), _Job(editor, direction, options, lips, out))
    is_clamped = np.abs(direction) >= editor.bundle.speech_limit_S
    return replace(report, clamped_share=float(is_clamped.mean()), remarks=report.remarks + remarks)


def _check_wishes(video: Path, out: Path, backbone: Backbone, options: EditOptions) -> None:
    for name, path in (("the video itself", video), ("the file of --lips", options.lips)):
        if isinstance(path, Path) and out.resolve() == path.resolve():
            raise UserError(f"--out is {name} ({path}); name another file")
    if options.is_parity and backbone.name != "edtalk":
        raise UserError(f"--parity: the authors' procedure is one for edtalk, this model is for {backbone.name}")
    if options.is_parity and options.framing not in (None, "as-is"):
        raise UserError(f"--parity takes frames as they are; leave out --framing {options.framing}")
    if backbone.picture_px is None and options.framing not in (None, "paste"):
        raise UserError(f"--framing {options.framing}: {backbone.name} changes frames in place; leave --framing out")


def _absence(editor: Editor, *heard: Heard) -> tuple[str, ...]:
    """What is to be said of vectors that stood in for an encoder."""
    num_stored = sum(one.num_stored for one in heard)
    said = f"{editor.encoder.name} is not here, so {num_stored} vector(s) stored beside the sounds were taken instead"
    return (said,) if num_stored else ()


def _edit_in_place(source: Source, job: _Job) -> EditReport:
    """For a backbone that changes the frames themselves."""
    editor, is_quiet = job.editor, job.options.is_quiet
    refuse_two_faces(_faces(source))
    track = editor.backbone.track(counted(source.frames(), "finding the face", len(source), is_quiet))
    is_found = np.isfinite(track).reshape(len(track), -1).all(axis=1)
    if is_found.mean() < MIN_FACE_RATIO:
        raise ClipError("no_face", f"a face in {is_found.mean():.0%} of the frames of {source.path.name}")
    track = fill_gaps(track, is_found)
    codes = editor.backbone.encode(track)
    predicted = editor.change(codes, source.fps, job.direction) * _presence(is_found)[:, None]
    strength = editor.strength_for(predicted, job.options.strength)
    change = strength * predicted
    frames = counted(source.frames(), "changing the face", len(source), is_quiet)
    with fresh_file(job.out) as unfinished:
        rendered = editor.backbone.render(frames, track, codes + change)
        num_frames = write_video(unfinished, rendered, source.fps, source.path, CRF)
    return EditReport(
        num_frames, source.fps, source.width, source.height, float(is_found.mean()), root_mean_square(change),
        strength=strength, has_typical_unit=editor.has_typical_unit, likeness=editor.bundle.config.likeness(change),
    )  # fmt: skip


def _edit_by_drawing(source: Source, job: _Job) -> EditReport:
    """For a backbone that draws a face square anew, from the first frame that shows the face."""
    editor, backbone, is_quiet = job.editor, job.editor.backbone, job.options.is_quiet
    framing = job.options.framing or "paste"
    square = _square(source, framing, is_quiet)

    def track_lips(path: Path) -> tuple[np.ndarray, float]:
        other = Source(path)
        found = _square(other, framing, is_quiet)
        return _track(other, found, backbone, "reading the lips", is_quiet), other.fps

    lips = find_lips(job.lips, source.path, len(source), source.fps, track_lips)
    track = _track(source, square, backbone, "reading the face", is_quiet)
    codes = backbone.encode(track)
    predicted = editor.change(codes, source.fps, job.direction)
    strength = editor.strength_for(predicted, job.options.strength)

    order = there_and_back(len(source), lips.num_frames)
    person = square.picture(next(source.frames([square.first_seen])), _picture_px(backbone))
    driven = lips.put_on(backbone, track[order], source.fps)
    drawn = backbone.render(iter([person]), driven, (codes + strength * predicted)[order])
    weights = square.presence_T[order]
    if framing == "paste":
        result = pasted(source.frames(order), drawn, weights, square.patch(backbone.view))
        width, height = source.width, source.height
    else:
        result = faded(source.frames(order), drawn, weights, square.part(backbone.view))
        width = height = _picture_px(backbone)
    with fresh_file(job.out) as unfinished:
        shown = counted(result, "drawing the face", len(order), is_quiet)
        num_frames = write_video(unfinished, shown, source.fps, lips.sound, CRF)
    return EditReport(
        num_frames, source.fps, width, height, square.face_ratio, root_mean_square(strength * predicted[order]),
        strength=strength, has_typical_unit=editor.has_typical_unit, likeness=editor.bundle.config.likeness(predicted),
        remarks=resize_remark(source, _picture_px(backbone)) if framing == "as-is" else (),
    )  # fmt: skip


def _picture_px(backbone: Backbone) -> int:
    assert backbone.picture_px is not None
    return backbone.picture_px


def _square(source: Source, framing: Framing, is_quiet: bool) -> FaceSquare:
    """Where the face is, or the whole video where that is the square."""
    if framing == "as-is":
        faces = _faces(source)
        refuse_two_faces(faces)
        face_ratio = sum(map(bool, faces)) / len(faces)
        return FaceSquare.whole(source.width, source.height, len(source), face_ratio)
    looked_at = looks(len(source))
    frames = counted(source.frames(looked_at), "finding the face", len(looked_at), is_quiet)
    return find_square(frames, len(source), source.width, source.height)


def _faces(source: Source) -> list[list[np.ndarray]]:
    evenly = np.unique(np.linspace(0, len(source) - 1, NUM_LOOKS).astype(int))
    return list(find_faces(source.frames(evenly)))


def _track(source: Source, square: FaceSquare, backbone: Backbone, label: str, is_quiet: bool) -> np.ndarray:
    """Track of the square; what is read where the face is not seen is replaced from its neighbours."""
    pictures = (square.picture(frame, _picture_px(backbone)) for frame in source.frames())
    track = backbone.track(counted(pictures, label, len(source), is_quiet))
    return fill_gaps(track, square.presence_T > 0)


def _presence(is_found: np.ndarray) -> np.ndarray:
    """Weight of the edit per frame: 1 where the face is seen, falling to 0 towards frames where it is not."""
    if is_found.all():
        return np.ones(len(is_found), np.float32)
    lost = np.flatnonzero(~is_found)
    after = np.clip(np.searchsorted(lost, np.arange(len(is_found))), 0, len(lost) - 1)
    before = np.clip(after - 1, 0, None)
    frames = np.arange(len(is_found))
    distance = np.minimum(np.abs(frames - lost[before]), np.abs(frames - lost[after]))
    return np.minimum(distance / FADE_FRAMES, 1).astype(np.float32)
