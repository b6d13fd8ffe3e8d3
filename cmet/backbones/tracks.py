"""Tracking one prepared clip with a backbone; runs in worker processes, so it imports little."""

from functools import cache
from pathlib import Path

import numpy as np

from cmet.backbones.registry import Tracker, backbone_class
from cmet.engine import Job, Record
from cmet.errors import ClipError
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
    is_found = np.isfinite(track).reshape(len(track), -1).all(axis=1)
    if is_found.mean() < job["min_face_ratio"]:
        raise ClipError(
            "face_lost", f"a face in {is_found.mean():.0%} of the frames, {job['min_face_ratio']:.0%} are needed"
        )
    (files / "tracks").mkdir(exist_ok=True)
    np.save(files / "tracks" / f"{job['clip_id']}.npy", fill_gaps(track, is_found))
    return {"num_frames": len(track), "num_faces": int(is_found.sum())}


@cache
def _tracker(name: str, weights: str, inference: InferenceParams) -> Tracker:
    return backbone_class(name).tracker(Path(weights), inference)


def fill_gaps(track: np.ndarray, is_found: np.ndarray) -> np.ndarray:
    """Interpolate missing frames linearly in time; before the first and after the last, hold the nearest.

    Args:
        track: Shape (T, ...).
        is_found: Shape (T,), bool, with at least one True.
    """
    if is_found.all():
        return track
    known = np.flatnonzero(is_found)
    wanted = np.arange(len(track))
    flat = track.reshape(len(track), -1)
    before = known[np.clip(np.searchsorted(known, wanted, side="right") - 1, 0, None)]
    after = known[np.clip(np.searchsorted(known, wanted), None, len(known) - 1)]
    gap = np.maximum(after - before, 1)
    share = (np.clip(wanted, known[0], known[-1]) - before) / gap
    filled = flat[before] + share[:, None].astype(flat.dtype) * (flat[after] - flat[before])
    return filled.reshape(track.shape).astype(track.dtype)
