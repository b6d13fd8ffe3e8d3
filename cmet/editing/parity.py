"""The authors' procedure, exactly: every frame as it is, their lengths, their brightness.

Legend: T frames of the video, L frames of the result, N edited frames, E expression (10), P lips (20),
K coefficients (36).

Source: `inference.py` in ChanHyeok-Choi/C-MET at bd384ac.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cmet.backbones.edtalk import EDTalk, load_audio2lip
from cmet.backbones.edtalk.audio2lip import lips_from_speech
from cmet.backbones.edtalk.generator import EXPRESSION, LIP, PICTURE_PX, POSE
from cmet.backbones.edtalk.mel import SAMPLES_PER_FRAME
from cmet.connector.inference import predict_directions
from cmet.deltas import speech_delta
from cmet.editing.editor import Editor, root_mean_square
from cmet.editing.lips import read_own_sound, shows_pictures
from cmet.editing.options import CRF, EditOptions, EditReport, LipsFrom, told_of
from cmet.editing.schedule import num_kept, published_schedule
from cmet.editing.source import Source, counted, resize_remark
from cmet.errors import UserError
from cmet.media.audio import read_audio
from cmet.media.video import write_video
from cmet.outputs import fresh_file
from cmet.speech.encoders import SAMPLE_RATE_HZ

SIZE = (PICTURE_PX, PICTURE_PX)


def edit_as_published(
    video: Path,
    neutral_NS: np.ndarray,
    emotional_MS: np.ndarray,
    out: Path,
    editor: Editor,
    lips_from: LipsFrom,
    options: EditOptions,
) -> EditReport:
    """Write `video` with the emotion of speech as the authors' code does; no face is looked for.

    Args:
        video: A face square; its first frame is the person.
        neutral_NS: Embeddings of calm speech.
        emotional_MS: Embeddings of speech with the wanted emotion.
        out: Target mp4; appears whole or not at all.
        editor: A model for edtalk.
        lips_from: As `chosen_lips` gives it.
        options: What else is wished for.

    Raises:
        UserError: The video is too short, or a file cannot be used.
    """
    backbone = editor.backbone
    assert isinstance(backbone, EDTalk)
    renderer, window, is_quiet = backbone.renderer, editor.bundle.connector.window, options.is_quiet
    direction_S = speech_delta(*map(editor.bundle.scaling.apply, (neutral_NS, emotional_MS)))
    with told_of(video):
        source = Source(video, is_every_frame=True)
    num_edited = len(source) - len(source) % window
    num_kept(num_edited)  # before anything slow
    sound = lips_from if isinstance(lips_from, Path) else video
    driving_LP = None if lips_from == "own" else _driving_lips(sound, lips_from, backbone, is_quiet)
    track_TK = _coefficients(source, backbone, "reading the face", is_quiet)
    lips_LP = track_TK[:, LIP] if driving_LP is None else driving_LP

    strength = 1.0 if options.strength is None else options.strength
    change_NE = strength * predict_directions(
        editor.bundle.connector, direction_S, track_TK[:, EXPRESSION].numpy(), drop_tail=True
    )
    coefficients_LK = published_coefficients(track_TK, torch.from_numpy(change_NE), lips_LP)
    person = renderer.source(source_picture(next(source.frames([0]))))
    drawn = chain.from_iterable(renderer.render(person, coefficients_LK))
    with fresh_file(out) as unfinished, TemporaryFile(dir=out.parent) as store:
        frames = stretched(counted(drawn, "drawing the face", len(coefficients_LK), is_quiet), store)
        num_frames = write_video(unfinished, frames, source.fps, sound, CRF)
    return EditReport(
        num_frames, source.fps, PICTURE_PX, PICTURE_PX, None, root_mean_square(change_NE), 0.0,
        strength=strength, has_typical_unit=False, likeness=editor.bundle.config.likeness(change_NE),
        remarks=resize_remark(source, PICTURE_PX),
    )  # fmt: skip


def _driving_lips(path: Path, lips_from: LipsFrom, backbone: EDTalk, is_quiet: bool) -> Tensor:
    """Lips (L, P) of a lip video, or as Audio2Lip hears them."""
    if lips_from != "speech" and shows_pictures(path):
        with told_of(path):
            lip_video = Source(path, is_every_frame=True)
        return _coefficients(lip_video, backbone, "reading the lips", is_quiet)[:, LIP]
    with told_of(path):
        samples_N = read_own_sound(path) if lips_from == "speech" else read_audio(path, SAMPLE_RATE_HZ)
    if len(samples_N) < SAMPLES_PER_FRAME:
        raise UserError(f"{path}: {len(samples_N) / SAMPLE_RATE_HZ:.3f} s of sound, a frame of lips needs 0.04 s")
    network = load_audio2lip().to(backbone.renderer.device)
    return lips_from_speech(network, samples_N, holds_ends=False)


def _coefficients(source: Source, backbone: EDTalk, label: str, is_quiet: bool) -> Tensor:
    with told_of(source.path):
        pictures = map(video_picture, source.frames())
        return backbone.renderer.coefficients(counted(pictures, label, len(source), is_quiet))


def published_coefficients(track_TK: Tensor, change_NE: Tensor, lips_LP: Tensor) -> Tensor:
    """What is drawn, shape (L, K): lips as given, pose and edited expression by the published schedule."""
    edited_NE = track_TK[: len(change_NE), EXPRESSION] + change_NE
    expression, pose = published_schedule(len(edited_NE), len(track_TK), len(lips_LP))
    return torch.cat([lips_LP, track_TK[pose, POSE], edited_NE[expression]], 1)


def stretched(pictures: Iterable[Tensor], store: IO[bytes]) -> Iterator[np.ndarray]:
    """uint8 frames (H, W, 3) whose lowest value over all of them is 0 and whose highest is 255.

    Args:
        pictures: Each (3, H, W); clamped to [-1, 1] first.
        store: An empty file that keeps them until the extremes are known: a clip may be longer than memory.
    """
    lowest, highest = np.float32(np.inf), np.float32(-np.inf)
    shape: tuple[int, ...] = (0,)
    for picture_3HW in pictures:
        values = picture_3HW.clamp(-1, 1).permute(1, 2, 0).cpu().numpy()
        lowest, highest, shape = min(lowest, values.min()), max(highest, values.max()), values.shape
        store.write(values.tobytes())
    store.seek(0)
    spread = highest - lowest if highest > lowest else np.float32(1)
    while kept := store.read(int(np.prod(shape)) * np.dtype(np.float32).itemsize):
        values = np.frombuffer(kept, np.float32).reshape(shape)
        yield ((values - lowest) / spread * 255).astype(np.uint8)


def video_picture(frame: np.ndarray) -> Tensor:
    """A frame of a driving video as the published code sees it: the tensor resize, a no-op at 256 pixels."""
    levels_3HW = _levels(frame)
    if levels_3HW.shape[1:] != SIZE:
        levels_3HW = functional.interpolate(levels_3HW[None], SIZE, mode="bilinear", antialias=True)[0]
    return levels_3HW / 127.5 - 1


def source_picture(frame: np.ndarray) -> Tensor:
    """The picture of the person as the published code sees it: PIL's default resize, a no-op at 256 pixels."""
    levels_3HW = _levels(frame)
    # PIL resizes rows first, then columns, and both give bytes
    for size in ((levels_3HW.shape[1], PICTURE_PX), SIZE):
        if levels_3HW.shape[1:] != size:
            levels_3HW = functional.interpolate(levels_3HW[None], size, mode="bicubic", antialias=True)[0]
            levels_3HW = levels_3HW.round().clamp(0, 255)
    return levels_3HW / 127.5 - 1


def _levels(frame: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(frame.transpose(2, 0, 1))).float()
