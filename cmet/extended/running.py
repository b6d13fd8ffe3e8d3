"""From folders of speech to a page: listen, measure, edit, show."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from cmet.editing.editor import Editor
from cmet.editing.emotions.speech import VECTOR_ENCODERS
from cmet.errors import UserError
from cmet.extended.faces import edit_videos, face_rows
from cmet.extended.hearing import BASIC, EXTENDED, HeardRecordings, LeftOut, choose_space, listen, remembering
from cmet.extended.labels import labels_of
from cmet.extended.measured import HeardAndMade
from cmet.extended.page import write_page
from cmet.extended.product import ExtendedResult
from cmet.extended.recordings import (
    NEUTRAL,
    Recording,
    basic_recordings,
    emotion_folders,
    in_folder,
    neutral_recordings,
    passed_over,
)
from cmet.extended.request import Request
from cmet.extended.speech import Rest, measure_basics, speech_rows
from cmet.extended.table import as_table, left_out_rows, write_table
from cmet.inputs.files import oddity
from cmet.outputs import as_utf8, fresh_folder, write_json
from cmet.speech.encoders.encoder import SCALED, SpeechEncoder
from cmet.speech.encoders.registry import load_encoder
from cmet.speech.scaling import SpeechScaling
from cmet.weights.registry import weights_folder


@dataclass(frozen=True, eq=False)
class ExtendedReport:
    """What was measured and made."""

    table: pd.DataFrame
    space: str
    num_clips: int
    num_edits: int
    num_left_out: int
    result: ExtendedResult
    page_mib: float
    passed_over: list[Path]
    """Files in the folders of speech that are no recordings."""


def write_extended(request: Request, out: Path) -> ExtendedReport:
    """Measure the speech of extended emotions, edit the videos with it, and write a page.

    Args:
        request: What to measure, and with what.
        out: Becomes an `ExtendedResult`, whole or not at all.

    Raises:
        UserError: A folder is missing or holds no speech that can be used, the speech is of no one space, no video can
            be edited, or `out` holds something else.
    """
    folders = emotion_folders(request.folders)
    _check_request(request, out)
    editor = request.editor
    sources = [*folders, *request.neutral_speech, *([request.basic] if request.basic else [])]
    space = choose_space(request.space, editor.bundle.config.speech_encoder if editor else None, sources)
    encoder = remembering(editor.encoder if editor else load_encoder(space, weights_folder()))
    if encoder.check is not None and space not in VECTOR_ENCODERS:
        encoder.check()
    found = _recordings(request, folders, has_vectors=space in VECTOR_ENCODERS)
    with fresh_folder(out) as folder:
        unfinished = ExtendedResult(folder)
        measured = _listen(request, encoder, found)
        rows = speech_rows(measured.emotions, measured.rest, measured.basics, request.seed)
        if editor is not None and request.videos:
            speech = {emotion: heard.paths for emotion, heard in measured.emotions.items()}
            hearing = replace(editor, encoder=encoder)
            edited, failed = edit_videos(
                request.videos, speech, measured.neutral.paths, hearing, unfinished, request.is_quiet
            )
            measured = replace(measured, edited=edited, left_out=[*measured.left_out, *failed])
            rows += face_rows(edited, request.seed)
        table = as_table([*rows, *left_out_rows(measured.left_out)], space)
        write_table(table, unfinished.numbers)
        write_json(unfinished.labels, labels_of(request, measured))
        size_mib = write_page(request, measured, table, unfinished)
    num_clips = sum(len(heard.recordings) for heard in measured.emotions.values())
    num_edits = sum(len(video.edits) for video in measured.edited)
    others = passed_over([source for source in sources if source.is_dir()], has_vectors=space in VECTOR_ENCODERS)
    return ExtendedReport(
        table, space, num_clips, num_edits, len(measured.left_out), ExtendedResult(out), size_mib, others
    )


@dataclass(frozen=True)
class FoundRecordings:
    """Recordings of a request."""

    emotional: dict[str, list[Recording]]
    neutral: list[Recording]
    basic: list[Recording]
    """Empty where none were given."""


def _recordings(request: Request, folders: list[Path], has_vectors: bool) -> FoundRecordings:
    is_in_name = request.is_speaker_in_name
    emotional = {}
    for folder in folders:
        name = as_utf8(folder.resolve().name)
        emotional[name] = in_folder(folder, name, has_vectors, is_in_name)
    neutral = neutral_recordings(request.neutral_speech, has_vectors, is_in_name)
    basic = [] if request.basic is None else basic_recordings(request.basic, has_vectors, is_in_name)
    return FoundRecordings(emotional, neutral, basic)


def _listen(request: Request, encoder: SpeechEncoder, found: FoundRecordings) -> HeardAndMade:
    """Hear everything, bring it to one scale and take the directions of the basic emotions."""
    left_out: list[LeftOut] = []

    def hear_all(recordings: list[Recording], role: str) -> HeardRecordings:
        heard, failed = listen(encoder, recordings, role, request.is_quiet)
        left_out.extend(failed)
        return heard

    emotions = {name: hear_all(recordings, EXTENDED) for name, recordings in found.emotional.items()}
    neutral = hear_all(found.neutral, NEUTRAL)
    basic = hear_all(found.basic, BASIC) if found.basic else None
    scaling, said = _scaling(request.editor, encoder, [basic] if basic else [neutral, *emotions.values()])
    neutral = neutral.scaled(scaling)
    return HeardAndMade(
        space=encoder.name,
        scaling=said,
        emotions={name: heard.scaled(scaling) for name, heard in emotions.items()},
        neutral=neutral,
        rest=Rest.of(neutral),
        basics=None if basic is None else measure_basics(basic.scaled(scaling)),
        edited=[],
        left_out=left_out,
        num_shared=_num_shared(emotions.values(), [*neutral.paths, *(basic.paths if basic else [])]),
    )


def _num_shared(emotional: Iterable[HeardRecordings], others: Sequence[Path]) -> int:
    known = {path.resolve() for path in others}
    return sum(path.resolve() in known for heard in emotional for path in heard.paths)


def _scaling(
    editor: Editor | None, encoder: SpeechEncoder, fitted_on: list[HeardRecordings]
) -> tuple[SpeechScaling, str]:
    """The model's scaling, or one fitted on these recordings where features have units, with words for it."""
    if editor is not None:
        return editor.bundle.scaling, "the model's"
    if encoder.name not in SCALED:
        return SpeechScaling.none(encoder.width), "none"
    vectors_NS = np.concatenate([heard.vectors_NS for heard in fitted_on])
    whose = "basic speech" if len(fitted_on) == 1 else "neutral and extended speech"
    return SpeechScaling.fit(vectors_NS), f"each feature by its spread over the {len(vectors_NS)} clips of {whose}"


def _check_request(request: Request, out: Path) -> None:
    """Tell before anything slow what cannot be.

    Raises:
        UserError: A video is missing or has no model, or the result cannot be put where it is wished.
    """
    if request.videos and request.editor is None:
        raise UserError("--video: editing a video needs a model; name one with --model")
    for video in request.videos:
        odd = oddity(video)
        if odd is not None:
            raise UserError(f"--video {video}: {odd}")
    for option, paths in (("--neutral-speech", request.neutral_speech), ("--basic", [request.basic])):
        for path in paths:
            if path is not None and not path.exists():
                raise UserError(f"{option} {path}: no such file or folder")
    if not request.neutral_speech:
        raise UserError("--neutral-speech: no calm recordings; a direction leads from neutral to an emotion")
    place = out.resolve()
    inputs = [*request.folders, *request.neutral_speech, *request.videos, *([request.basic] if request.basic else [])]
    for path in inputs:
        if path.resolve().is_relative_to(place):
            raise UserError(f"--out {out}: {path} lies in this folder, which would be replaced; name another one")
    if out.is_file():
        raise UserError(f"--out {out}: is a file; name a folder")
    if out.is_dir() and any(out.iterdir()) and not ExtendedResult(out).numbers.is_file():
        raise UserError(f"--out {out}: holds something other than a result of this command; name another folder")
    if place == Path.cwd():
        raise UserError(f"--out {out}: is the current folder, which would be replaced; name a folder in it")
    parent = next(parent for parent in place.parents if parent.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise UserError(f"--out {out}: no folder can be made in {parent}; name another one")
