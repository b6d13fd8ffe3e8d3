"""Tracking one prepared clip with a backbone; runs in worker processes, so it imports little."""

from functools import cache
from pathlib import Path

import numpy as np

from cmet.backbones.frames import fill_gaps
from cmet.backbones.registry import FaceTracker, backbone_class
from cmet.engine.attempts import Job, Record
from cmet.errors import ClipError
from cmet.expression.product import TRACKS, array_name
from cmet.media.video import VideoFile
from cmet.params import InferenceParams


def track_clip(job: Job, files: Path) -> Record:
    """Track one clip; frames in which the face was lost are interpolated from their neighbours.

    Raises:
        ClipError: `face_lost`, when the face is missing in too many frames.
    """
    file = VideoFile(Path(job["video"]))
    tracker = _tracker(job["backbone"], job["weights"], InferenceParams(**job["inference"]))
    track = tracker(file.frames_at(range(len(file))))
    is_found = np.array([np.isfinite(frame).all() for frame in track])
    if is_found.mean() < job["min_face_ratio"]:
        raise ClipError(
            "face_lost",
            f"a face in {is_found.mean():.0%} of the frames; at least {job['min_face_ratio']:.0%} is needed",
        )
    (files / TRACKS).mkdir(exist_ok=True)
    np.save(files / TRACKS / array_name(job["clip_id"]), fill_gaps(track, is_found))
    return {"num_frames": len(track), "num_faces": int(is_found.sum())}


@cache
def _tracker(name: str, weights: str, inference: InferenceParams) -> FaceTracker:
    return backbone_class(name).tracker(Path(weights), inference)
