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

from cmet.backbones.edtalk.audio2lip import lips_from_speech
from cmet.backbones.edtalk.generator import EXPRESSION, LIP, PICTURE_PX, POSE
from cmet.backbones.edtalk.loading import load_audio2lip
from cmet.backbones.edtalk.mel import SAMPLES_PER_FRAME
from cmet.backbones.edtalk.model import EDTalk
from cmet.backbones.published.precision import refuse_nan
from cmet.connector.inference import predict_deltas
from cmet.editing.editor import root_mean_square
from cmet.editing.frames.schedule import published_schedule
from cmet.editing.frames.source import Source, counted_frames, resize_remark
from cmet.editing.job import EditJob
from cmet.editing.messages import told_of
from cmet.editing.reports import EditReport, EmotionReport
from cmet.editing.result.writing import result_file, write_result
from cmet.errors import UserError
from cmet.pairs.differences import speech_delta
from cmet.speech.encoders.encoder import SAMPLE_RATE_HZ

SIZE = (PICTURE_PX, PICTURE_PX)


def edit_as_published(source: Source, neutral_NS: np.ndarray, emotional_MS: np.ndarray, job: EditJob) -> EditReport:
    """Write a video with the emotion of speech as the authors' code does; no face is looked for.

    Frames wait on the disk until the brightest is known, 0.79 MB each.

    Args:
        source: A face square; its first frame is the person unless the job names one.
        neutral_NS: Embeddings of calm speech.
        emotional_MS: Embeddings of speech with the wanted emotion.
        job: The rest; its speech delta of the emotion is not used, since the authors clamp nothing.

    Raises:
        UserError: The video is too short, or a file cannot be used.
    """
    editor, options = job.editor, job.options
    backbone = editor.backbone
    assert isinstance(backbone, EDTalk)
    renderer, is_quiet = backbone.renderer, options.is_quiet
    delta_S = speech_delta(*map(editor.bundle.scaling.apply, (neutral_NS, emotional_MS)))
    driving_LP, remarks = _driving_lips(source, job, backbone)
    track_TK = _coefficients(source, backbone, "reading the face", is_quiet)
    lips_LP = track_TK[:, LIP] if driving_LP is None else driving_LP

    strength = 1.0 if options.strength is None else options.strength
    delta_NE = strength * predict_deltas(
        editor.bundle.connector, delta_S, track_TK[:, EXPRESSION].numpy(), drop_tail=True
    )
    coefficients_LK = published_coefficients(track_TK, torch.from_numpy(delta_NE), lips_LP)
    picture = next(source.frames([0])) if job.person is None else job.person
    person = renderer.source(source_picture(picture))
    change = root_mean_square(delta_NE)
    told = EmotionReport(job.emotions[0].name, change, strength)
    drawn = chain.from_iterable(renderer.render(person, coefficients_LK))
    with result_file(job.out) as unfinished, TemporaryFile(dir=job.out.parent) as store:
        frames = stretched(counted_frames(drawn, "drawing the face", len(coefficients_LK), is_quiet), store)
        num_frames = write_result(unfinished, frames, source, job, [told])
    return EditReport(
        num_frames, source.fps, PICTURE_PX, PICTURE_PX, None, change, 0.0,
        strength=strength, has_typical_unit=False, likeness=dict(job.emotions[0].likeness),
        remarks=resize_remark(source.path, source.width, source.height, PICTURE_PX) + remarks,
    )  # fmt: skip


def _driving_lips(source: Source, job: EditJob, backbone: EDTalk) -> tuple[Tensor | None, tuple[str, ...]]:
    """Lips (L, P) of a lip video, with remarks, or as Audio2Lip hears them; None where the video keeps its own."""
    if job.samples is not None:
        if len(job.samples) < SAMPLES_PER_FRAME:
            seconds = len(job.samples) / SAMPLE_RATE_HZ
            raise UserError(f"{job.heard_in(source)}: {seconds:.3f} s of sound, but a frame of lips needs 0.04 s")
        network = load_audio2lip(backbone.weights_folder).to(backbone.renderer.device)
        return lips_from_speech(network, job.samples, holds_ends=False), ()
    if not isinstance(job.lips, Path):
        return None, ()
    with told_of(job.lips, "--lips"):
        other = Source(job.lips, is_every_frame=True)
    lips_LP = _coefficients(other, backbone, "reading the lips", job.options.is_quiet)[:, LIP]
    return lips_LP, resize_remark(other.path, other.width, other.height, PICTURE_PX)


def _coefficients(source: Source, backbone: EDTalk, label: str, is_quiet: bool) -> Tensor:
    with told_of(source.path):
        pictures = map(video_picture, source.frames())
        return backbone.renderer.coefficients(counted_frames(pictures, label, len(source), is_quiet))


def published_coefficients(track_TK: Tensor, delta_NE: Tensor, lips_LP: Tensor) -> Tensor:
    """What is drawn, shape (L, K): lips as given, pose and edited expression by the published schedule."""
    edited_NE = track_TK[: len(delta_NE), EXPRESSION] + delta_NE
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
        refuse_nan(picture_3HW)
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
