"""Preparing one clip: the face at one size and frame rate, its sound at one sample rate, both over the same span.

Runs in worker processes, so it imports little.
"""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from cmet.archives import local_file
from cmet.clips.crop import CROP_RULES, Cut, choose_track, face_tracks, outside_share, square_around
from cmet.clips.kept import KeptFrames
from cmet.engine.attempts import Job, Record
from cmet.errors import ClipError
from cmet.media.landmarks import Region, find_faces, small_face_region
from cmet.media.readers import DecordReader, PyavReader
from cmet.media.sound import read_sound, rms_db, write_sound
from cmet.media.video import FASTEST, VideoFile, frames_at_rate, write_video

MAX_LOUDEST = 0.999
"""Samples at or above this share of full scale count as clipped."""


NUM_SMALL_LOOKS = 12
"""Frames in which a face is looked for that is too small to be found in the whole picture."""


def prepare_clip(job: Job, folder: Path) -> Record:
    """Prepare one clip; one without a video gets its sound prepared only.

    Args:
        job: `video` and `audio` (paths, which may go on inside an archive, or None), `picture` and `sound` (where the
            prepared ones go, from the folder on) and the `clips` section.
        folder: Gets the prepared files.

    Raises:
        ClipError: The reason to quarantine it.
    """
    with ExitStack() as stack:
        video = stack.enter_context(local_file(Path(job["video"]))) if job["video"] else None
        audio = stack.enter_context(local_file(Path(job["audio"]))) if job["audio"] else None
        for name in ("picture", "sound"):
            (folder / job[name]).parent.mkdir(exist_ok=True)
        if video is None:
            assert audio is not None
            return _prepare_sound(audio, folder, job) | {"source_sha256": _sha256(audio)}
        file = VideoFile(video)
        try:
            facts = _prepare_video(file, audio or video, folder, job)
        except ClipError as error:
            # decord may open a file and refuse one of its frames
            if error.code != "unreadable_video" or file.reader != DecordReader.name:
                raise
            facts = _prepare_video(VideoFile(video, PyavReader), audio or video, folder, job)
        return facts | {"source_sha256": _sha256(video)}


def _prepare_sound(audio: Path, folder: Path, job: Job) -> Record:
    rate = job["sample_rate_hz"]
    sound = read_sound(audio, rate)
    _check_duration(len(sound) / rate, job)
    facts = _sound_facts(sound, job)
    write_sound(folder / job["sound"], sound, rate)
    return facts | {"num_frames": None, "duration_s": len(sound) / rate}


def _prepare_video(file: VideoFile, audio: Path, folder: Path, job: Job) -> Record:
    rate, fps = job["sample_rate_hz"], job["fps"]
    sound = read_sound(audio, rate)
    video_s, sound_s = file.duration_s(), len(sound) / rate
    num_frames = _common_frames(video_s, sound_s, job)
    sound = _fit(sound, round(num_frames * rate / fps))
    facts = _sound_facts(sound, job)
    shown = frames_at_rate(file.start_times_s(), fps, num_frames).tolist()
    faces, kept = _watch(file, shown, job["detect_stride"])
    if sum(map(bool, faces)) < job["min_face_ratio"] * len(faces):
        looks = range(0, len(file), job["detect_stride"])
        region = small_face_region(file.frames_at(looks[:: -(-len(looks) // NUM_SMALL_LOOKS)]))
        if region is not None:
            del kept
            faces, kept = _watch(file, shown, job["detect_stride"], region)
    tracks = face_tracks(faces)
    track = choose_track(tracks, len(faces), job["min_face_ratio"])
    box = square_around(track.boxes)
    cut = CROP_RULES[job["crop_rule"]](box, file.width, file.height)
    kept.drop_unless_holding(cut)
    sound_path, video_path = folder / job["sound"], folder / job["picture"]
    write_sound(sound_path, sound, rate)
    pictures = _cut_frames(file, shown, kept, cut, job["size_px"])
    write_video(video_path, pictures, fps, sound_path, job["crf"], FASTEST, file.colour.shown)
    # its last digits differ between processors, as MediaPipe picks its code by them
    box = np.round(box)
    left, top, right, bottom = box.tolist()
    return facts | {
        "num_frames": num_frames,
        "duration_s": num_frames / fps,
        "reader": file.reader,
        "num_source_frames": len(file),
        "source_fps": file.fps,
        "source_width_px": file.width,
        "source_height_px": file.height,
        "video_minus_audio_s": round(video_s - sound_s, 4),
        "num_face_tracks": len(tracks),
        "face_ratio": len(track) / len(faces),
        "crop_rule": job["crop_rule"],
        "crop_left": left,
        "crop_top": top,
        "crop_right": right,
        "crop_bottom": bottom,
        "crop_outside_share": round(outside_share(box, file.width, file.height), 6),
    }


def _watch(
    file: VideoFile, shown: list[int], stride: int, region: Region | None = None
) -> tuple[list[list[np.ndarray]], KeptFrames]:
    """Go through a video once: the faces in every `stride`-th frame, and what will be needed of the shown frames."""
    looks, wanted = set(range(0, len(file), stride)), set(shown)
    faces: list[list[np.ndarray]] = []
    kept = KeptFrames()
    indices = sorted(looks | wanted)
    for index, frame in zip(indices, file.frames_at(indices), strict=True):
        if index in looks:
            faces += find_faces([frame], region)
            kept.aim(faces[-1], file.width, file.height)
        if index in wanted:
            kept.add(index, frame)
    return faces, kept


def _cut_frames(file: VideoFile, shown: list[int], kept: KeptFrames, cut: Cut, size_px: int) -> Iterator[np.ndarray]:
    """The frames of the prepared clip; those that were not kept are decoded again."""
    decoded = file.frames_at([index for index in shown if index not in kept])
    for index in shown:
        yield kept.cut(index, cut, size_px) if index in kept else cut.apply(next(decoded), size_px)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _common_frames(video_s: float, sound_s: float, job: Job) -> int:
    """Frames over the span that both picture and sound cover."""
    span_s = min(video_s, sound_s + 0.5 / job["fps"])
    _check_duration(span_s, job)
    return int(span_s * job["fps"] + 1e-6)


def _check_duration(duration_s: float, job: Job) -> None:
    if duration_s < job["min_duration_s"]:
        raise ClipError("too_short", f"{duration_s:.2f} s long; at least {job['min_duration_s']} s is needed")
    if duration_s > job["max_duration_s"]:
        raise ClipError("too_long", f"{duration_s:.1f} s long; at most {job['max_duration_s']} s is allowed")


def _sound_facts(sound: np.ndarray, job: Job) -> Record:
    level = rms_db(sound)
    if level < job["min_rms_db"]:
        raise ClipError("silent", f"the sound is at {level:.0f} dB; at least {job['min_rms_db']:.0f} dB is needed")
    return {"rms_db": round(level, 2), "clipped_share": float(np.mean(np.abs(sound) >= MAX_LOUDEST))}


def _fit(sound: np.ndarray, num_samples: int) -> np.ndarray:
    return np.pad(sound[:num_samples], (0, max(0, num_samples - len(sound))))
