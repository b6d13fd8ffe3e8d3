"""Writing one neutral clip as every method shows it; runs in worker processes, so it imports little."""

from functools import cache
from pathlib import Path

import numpy as np

from cmet.backbones.backbone import Backbone, SpeechDriven
from cmet.backbones.registry import load_backbone
from cmet.clips.product import Clips
from cmet.engine.attempts import Job, Record
from cmet.errors import ClipError
from cmet.expression.product import Faces
from cmet.media.sound import read_sound
from cmet.media.video import FASTEST, VideoFile, write_video
from cmet.params import InferenceParams
from cmet.speech.encoders.encoder import SAMPLE_RATE_HZ


def render_row(job: Job, files: Path) -> Record:
    """Write one neutral clip as every method shows it."""
    clips, faces = Clips(Path(job["clips"])), Faces(Path(job["expression"]))
    source = clips.video(job["source_clip"])
    file = VideoFile(source)
    frames = list(file.frames_at(range(len(file))))
    track = faces.track(job["source_clip"])
    backbone = _backbone(job["backbone"], faces.model, job["weights"], InferenceParams(**job["inference"]))
    if job["lips"] == "speech":
        assert isinstance(backbone, SpeechDriven)
        samples = read_sound(clips.sound(job["source_clip"]), SAMPLE_RATE_HZ)
        track = backbone.with_speech(track, samples, file.fps)
    if backbone.picture_px is not None:
        frames = [_identity_frame(frames, job["identity_frame"], job["source_clip"])]
    num_frames = 0
    for method, codes in job["codes"].items():
        if codes is None:
            continue
        (files / method).mkdir(exist_ok=True)
        # a backbone that draws faces anew is judged against its own drawing of the clip as it is
        is_kept = method == "neutral" and backbone.picture_px is None
        shown = iter(frames) if is_kept else backbone.render(frames, track, codes)
        path = files / method / f"{job['clip_id']}.mp4"
        num_frames += write_video(path, shown, file.fps, source, job["crf"], FASTEST, file.colour.shown)
    return {"num_frames": num_frames}


def _identity_frame(frames: list[np.ndarray], number: int, clip_id: str) -> np.ndarray:
    if number >= len(frames):
        raise ClipError("too_short", f"{clip_id} has {len(frames)} frames, but the identity frame is number {number}")
    return frames[number]


@cache
def _backbone(name: str, model: Path, weights: str, inference: InferenceParams) -> Backbone:
    return load_backbone(name, model, Path(weights), inference)
