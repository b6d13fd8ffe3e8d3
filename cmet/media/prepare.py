"""Preparing one clip: the face at one size and frame rate, its sound at one sample rate, both over the same span.

Runs in worker processes, so it imports little.
"""

from pathlib import Path

import numpy as np

from cmet.engine import Job, Record
from cmet.errors import ClipError
from cmet.media.audio import read_audio, rms_db, write_audio
from cmet.media.crop import crop, face_square
from cmet.media.landmarks import find_faces
from cmet.media.video import FASTEST, VideoFile, write_video

MAX_LOUDEST = 0.999
"""Samples at or above this share of full scale count as clipped."""


def prepare_clip(job: Job, files: Path) -> Record:
    """Prepare one clip; one without a video gets its sound prepared only.

    Raises:
        ClipError: The reason to quarantine it.
    """
    source = job["video"] or job["audio"]
    rate = job["sample_rate_hz"]
    sound = read_audio(Path(job["audio"] or job["video"]), rate)
    for name in ("video", "audio"):
        (files / name).mkdir(exist_ok=True)
    audio_path, video_path = files / "audio" / f"{job['clip_id']}.wav", files / "video" / f"{job['clip_id']}.mp4"
    if not job["video"]:
        _check_duration(len(sound) / rate, job)
        write_audio(audio_path, sound, rate)
        return {"num_frames": None, "duration_s": len(sound) / rate, **_sound_facts(sound, job)}
    file = VideoFile(Path(source))
    num_frames = _common_frames(file.duration_s(), len(sound) / rate, job)
    box = face_square(
        list(find_faces(file.frames_at(range(0, len(file), job["detect_stride"])))), job["min_face_ratio"]
    )
    sound = _fit(sound, round(num_frames * rate / job["fps"]))
    facts = _sound_facts(sound, job)
    shown = frames_at_rate(file.start_times_s(), job["fps"], num_frames)
    write_audio(audio_path, sound, rate)
    cropped = (crop(frame, box, job["size_px"]) for frame in file.frames_at(shown.tolist()))
    write_video(video_path, cropped, job["fps"], audio_path, job["crf"], FASTEST)
    left, top, right, bottom = (float(value) for value in box)
    return facts | {
        "num_frames": num_frames,
        "duration_s": num_frames / job["fps"],
        "source_fps": file.fps,
        "source_width_px": file.width,
        "source_height_px": file.height,
        "crop_rule": job["crop_rule"],
        "crop_left": left,
        "crop_top": top,
        "crop_right": right,
        "crop_bottom": bottom,
    }


def frames_at_rate(start_times_s: np.ndarray, fps: float, num_frames: int) -> np.ndarray:
    """Which source frame shows at each instant of a constant rate; right for variable frame rates too.

    Args:
        start_times_s: When each source frame appears, ascending, shape (N,).
        fps: The constant rate.
        num_frames: Instants wanted.

    Returns:
        Shape (num_frames,), indices into the source, ascending.
    """
    instants = (np.arange(num_frames) + 0.5) / fps
    shown = np.searchsorted(start_times_s, instants, side="right") - 1
    return np.clip(shown, 0, len(start_times_s) - 1)


def _common_frames(video_s: float, sound_s: float, job: Job) -> int:
    """Frames over the span that both picture and sound cover."""
    span_s = min(video_s, sound_s + 0.5 / job["fps"])
    _check_duration(span_s, job)
    return int(span_s * job["fps"] + 1e-6)


def _check_duration(duration_s: float, job: Job) -> None:
    if duration_s < job["min_duration_s"]:
        raise ClipError("too_short", f"{duration_s:.2f} s, at least {job['min_duration_s']} s are needed")
    if duration_s > job["max_duration_s"]:
        raise ClipError("too_long", f"{duration_s:.1f} s, at most {job['max_duration_s']} s are allowed")


def _sound_facts(sound: np.ndarray, job: Job) -> Record:
    level = rms_db(sound)
    if level < job["min_rms_db"]:
        raise ClipError("silent", f"the sound has a level of {level:.0f} dB, {job['min_rms_db']:.0f} dB are needed")
    return {"rms_db": round(level, 2), "clipped_share": float(np.mean(np.abs(sound) >= MAX_LOUDEST))}


def _fit(sound: np.ndarray, num_samples: int) -> np.ndarray:
    return np.pad(sound[:num_samples], (0, max(0, num_samples - len(sound))))
