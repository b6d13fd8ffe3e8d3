"""One video edited: at its own frame rate, at its own size unless its face square is wished for, and with a sound."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cmet.backbones.backbone import Backbone
from cmet.backbones.frames import fill_gaps
from cmet.editing.editor import Editor, root_mean_square
from cmet.editing.emotions.known import always_shown, check_num_windows, emotional_delta, know_emotions, laid_out
from cmet.editing.emotions.likeness import heard_emotions, warnings_of
from cmet.editing.emotions.speech import Heard, hear
from cmet.editing.frames.framing import (
    FaceSquare,
    faded,
    find_square,
    pasted,
    refuse_two_faces,
    resized,
)
from cmet.editing.frames.lips import chosen_lips, driving_sound, find_lips, has_sound, shows_pictures, try_speech
from cmet.editing.frames.person import face_of, first_picture
from cmet.editing.frames.prepared import PreparedVideo, evenly
from cmet.editing.frames.schedule import num_kept, there_and_back
from cmet.editing.frames.source import Source, counted_frames, num_editable, resize_remark
from cmet.editing.job import EditJob
from cmet.editing.messages import named, told_of
from cmet.editing.reports import EditReport, EmotionReport
from cmet.editing.result.credentials import check_signing
from cmet.editing.result.provenance import bare_names
from cmet.editing.result.writing import result_file, write_result
from cmet.editing.wishes.checks import check_emotions, check_files, check_wishes
from cmet.editing.wishes.options import EditOptions, Framing, LipsFrom, WantedEmotion
from cmet.editing.wishes.timeline import Timeline
from cmet.media.kinds import said_passed_over
from cmet.media.landmarks import find_faces
from cmet.media.sound import read_sound, sound_fault
from cmet.params import ClipForm
from cmet.speech.encoders.encoder import SAMPLE_RATE_HZ
from cmet.weights.registry import find_weight

MAX_APART_S = 0.2
"""Sound and picture of a result may differ by this before that is said."""


def edit_video(
    video: Path,
    speech: WantedEmotion | Timeline,
    neutral_speech: Sequence[Path],
    out: Path,
    editor: Editor,
    options: EditOptions | None = None,
    warn: Callable[[str], None] | None = None,
) -> EditReport:
    """Write `video` with the emotion of `speech`, and with those of `options.then` after it; or with a timeline.

    Args:
        video: The face to edit.
        speech: Recordings with the wanted emotion, by anyone; or the emotion by its name, if the model knows it; or a
            blend of such; or no change, where others follow; or all emotions with their times.
        neutral_speech: Calm recordings, best by the same voice; none where there are no others.
        out: Target mp4; appears whole or not at all.
        editor: The model.
        options: What else is wished for.
        warn: Is told each of `EditReport.warnings` before anything is changed.

    Raises:
        UserError: A file cannot be used, the video does not show exactly one face or is too short for the emotions, or
            the backbone cannot do what is wished for.
    """
    options = options or EditOptions()
    check_emotions(speech, neutral_speech, options)
    kind, window = editor.kind, editor.bundle.connector.window
    check_wishes(kind, options)
    check_signing(options)
    lips = chosen_lips(kind, options.lips, is_parity=options.is_parity)
    check_files(video, speech, neutral_speech, out, options)
    with told_of(video):
        source = Source(video, is_every_frame=options.is_parity)
    if options.is_parity:
        num_kept(num_editable(source, window))
    samples = driving_sound(lips, video)
    for name in () if samples is None else kind.speech_weights:
        find_weight(name)
    sound = options.sound or (lips if isinstance(lips, Path) else video)
    sound_s = _duration_s(options.sound)
    person, remarks = _person(options, kind.picture_px, editor.clips)
    neutral = hear(editor.encoder, neutral_speech, "--neutral-speech") if neutral_speech else None
    neutral_NS = None if neutral is None else neutral.vectors_NS
    emotions = know_emotions(editor, speech, neutral_NS, options)
    warnings = warnings_of(heard_emotions(emotions))
    if warn is not None:
        for warning in warnings:
            warn(warning)
    job = EditJob(editor, emotions, bare_names(speech, options), options, lips, samples, person, sound, out)
    if options.is_parity:
        # facemesh must not wait for the networks of the others
        from cmet.editing.parity import edit_as_published

        assert emotions[0].heard is not None and neutral is not None
        report = edit_as_published(source, neutral.vectors_NS, emotions[0].heard.vectors_NS, job)
    else:
        edit = _edit_in_place if kind.picture_px is None else _edit_by_drawing
        with told_of(video):
            report = edit(source, job)
    heard = [one for one in (neutral, *(emotion.heard for emotion in emotions)) if one is not None]
    remarks += _of_colour(source) + _of_sound(lips, job.sound, sound_s, report) + _absence(editor, *heard)
    remarks += _passed_over(*heard)
    told = emotions[0].name if len(emotions) == 1 and emotions[0].is_told else None
    return replace(
        report,
        told_emotion=told,
        held_out_emotion=editor.bundle.config.held_out_emotion,
        warnings=warnings,
        remarks=editor.remarks + report.remarks + remarks,
    )


def _person(options: EditOptions, picture_px: int | None, clips: ClipForm) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """The person of `options.source` with remarks; whole where frames are taken as they are."""
    if options.source is None:
        return None, ()
    assert picture_px is not None
    if not options.is_parity and options.framing != "as-is":
        return face_of(options.source, picture_px, clips.crop_rule, options.is_quiet), ()
    picture = first_picture(options.source)
    height, width = picture.shape[:2]
    return picture, resize_remark(options.source, width, height, picture_px, "it was")


def _duration_s(sound: Path | None) -> float | None:
    """Length of the sound that was named."""
    if sound is None:
        return None
    with told_of(sound, "--sound"):
        return len(read_sound(sound, SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ


def _of_sound(lips: LipsFrom, sound: Path, sound_s: float | None, report: EditReport) -> tuple[str, ...]:
    """What is to be said of the sound of the result; its length is known where it was named."""
    fault = sound_fault(sound)
    if fault is not None:
        return (f"the result has no sound: {named(sound, fault)}; name one with --sound",)
    pictures_s = report.num_frames / report.fps
    if sound_s is not None and abs(sound_s - pictures_s) > MAX_APART_S:
        return (f"{sound} lasts {sound_s:.1f} s, but the pictures last {pictures_s:.1f} s",)
    if sound == lips and shows_pictures(sound) and not has_sound(sound):
        return (f"the result has no sound, since {sound} has none; name one with --sound",)
    return ()


def _passed_over(*heard: Heard) -> tuple[str, ...]:
    """What is to be said of folders of speech."""
    files = [file for one in heard for file in one.passed_over]
    return (said_passed_over(files),) if files else ()


def _of_colour(source: Source) -> tuple[str, ...]:
    """What is to be said of colours that the result cannot have."""
    colour = source.file.colour
    said = f"{source.path} has high range or wide colours ({colour.said}); the result has those of ordinary screens"
    return (said,) if colour.is_wide else ()


def _absence(editor: Editor, *heard: Heard) -> tuple[str, ...]:
    """What is to be said of vectors that stood in for an encoder."""
    num_stored = sum(one.num_stored for one in heard)
    said = f"{editor.encoder.name} is not here, so {num_stored} vector(s) stored beside the sounds were used instead"
    return (said,) if num_stored else ()


def _edit_in_place(source: Source, job: EditJob) -> EditReport:
    """For a backbone that changes the frames themselves."""
    editor, is_quiet = job.editor, job.options.is_quiet
    check_num_windows(editor, job.emotions, len(source), source.fps)
    prepared = PreparedVideo.of(source, editor, is_quiet)
    delta_TK, told = emotional_delta(
        editor, job.emotions, prepared.codes_TK, source.fps, prepared.presence_T, job.options
    )
    shown = partial(counted_frames, label="changing the face", total=len(source), is_quiet=is_quiet)
    with result_file(job.out) as unfinished:
        rendered = prepared.drawn(delta_TK, shown)
        num_frames = write_result(unfinished, rendered, source, job, told)
    return EditReport(
        num_frames, source.fps, *_even(source), prepared.face_ratio, root_mean_square(delta_TK),
        has_typical_unit=editor.has_typical_unit, **_of_emotions(told),
    )  # fmt: skip


def _edit_by_drawing(source: Source, job: EditJob) -> EditReport:
    """For a backbone that draws a face square anew, from a picture or the first frame that shows the face."""
    editor, backbone, is_quiet = job.editor, job.editor.backbone, job.options.is_quiet
    framing = job.options.framing or "paste"
    if job.samples is not None:
        try_speech(backbone, job.samples, job.heard_in(source))
    square = _square(source, framing, editor.clips, is_quiet)
    remarks = _resize_remark(source, framing, backbone)

    def track_lips(path: Path) -> tuple[np.ndarray, float]:
        nonlocal remarks
        other = Source(path)
        found = _square(other, framing, editor.clips, is_quiet)
        remarks += _resize_remark(other, framing, backbone)
        return _track(other, found, editor, "reading the lips", is_quiet), other.fps

    lips = find_lips(job.lips, job.samples, len(source), source.fps, track_lips)
    check_num_windows(editor, job.emotions, lips.num_frames, source.fps)
    track = _track(source, square, editor, "reading the face", is_quiet)
    codes = backbone.encode(track)
    order = there_and_back(len(source), lips.num_frames)
    codes, delta_TK, told = _along(order, codes, source.fps, job)
    person = square.picture(next(source.frames([square.first_seen])), _picture_px(backbone))
    if job.person is not None:
        person = resized(job.person, _picture_px(backbone), _picture_px(backbone))
    driven = lips.put_on(backbone, track[order], source.fps)
    drawn = backbone.render(iter([person]), driven, codes + delta_TK)
    weights = square.presence_T[order]
    if framing == "paste":
        result = pasted(source.frames(order), drawn, weights, square.patch(backbone.view))
        width, height = _even(source)
    else:
        result = faded(source.frames(order), drawn, weights, square.part(backbone.view))
        width = height = _picture_px(backbone)
    with result_file(job.out) as unfinished:
        shown = counted_frames(result, "drawing the face", len(order), is_quiet)
        num_frames = write_result(unfinished, shown, source, job, told)
    return EditReport(
        num_frames, source.fps, width, height, square.face_ratio, root_mean_square(delta_TK),
        has_typical_unit=editor.has_typical_unit, remarks=remarks, **_of_emotions(told),
    )  # fmt: skip


def _along(
    order: np.ndarray, codes: np.ndarray, fps: float, job: EditJob
) -> tuple[np.ndarray, np.ndarray, list[EmotionReport]]:
    """Codes of the frames of the result, what is added to them, and what of it is each emotion's."""
    emotions = laid_out(job.editor, job.emotions, len(order), fps)
    if len(emotions) > 1:
        # they go along the result, which may be longer or shorter than the video
        codes, order = codes[order], np.arange(len(order))
    else:
        emotions = [always_shown(emotions[0])]
    always = np.ones(len(codes), np.float32)
    delta_TK, told = emotional_delta(job.editor, emotions, codes, fps, always, job.options)
    return codes[order], delta_TK[order], told


def _of_emotions(told: list[EmotionReport]) -> dict[str, Any]:
    """What a report says of one emotion, or of several."""
    if len(told) > 1 or told[0].start_s is not None:
        return {"emotions": tuple(told)}
    one = told[0]
    return {"strength": one.strength, "likeness": one.likeness, "clamped_share": one.clamped_share}


def _even(source: Source) -> tuple[int, int]:
    """Width and height that are written of whole frames; 4:2:0 video has even sizes."""
    return source.width + source.width % 2, source.height + source.height % 2


def _resize_remark(source: Source, framing: Framing, backbone: Backbone) -> tuple[str, ...]:
    is_whole = framing == "as-is"
    return resize_remark(source.path, source.width, source.height, _picture_px(backbone)) if is_whole else ()


def _picture_px(backbone: Backbone) -> int:
    assert backbone.picture_px is not None
    return backbone.picture_px


def _square(source: Source, framing: Framing, clips: ClipForm, is_quiet: bool) -> FaceSquare:
    """Where the face is, or the whole video where that is the square."""
    if framing == "as-is":
        faces = list(find_faces(source.frames(evenly(source))))
        refuse_two_faces(faces)
        face_ratio = sum(map(bool, faces)) / len(faces)
        return FaceSquare.whole(source.width, source.height, len(source), face_ratio)

    def frames_at(indices: list[int]) -> Iterator[np.ndarray]:
        return counted_frames(source.frames(indices), "finding the face", len(indices), is_quiet)

    return find_square(frames_at, len(source), source.width, source.height, clips.crop_rule)


def _track(source: Source, square: FaceSquare, editor: Editor, label: str, is_quiet: bool) -> np.ndarray:
    """Track of the square, of the size of prepared clips; where the face is not seen, neighbours say what was read."""
    pictures = (square.picture(frame, editor.clips.size_px) for frame in source.frames())
    track = editor.backbone.track(counted_frames(pictures, label, len(source), is_quiet))
    return fill_gaps(track, square.is_seen_T)
