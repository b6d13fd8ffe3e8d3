"""How far the landmarks of an edited face lie from those of the true face, and of the face that was edited.

lmd/mouth       M-LMD: mean distance of the mouth's landmarks from those of the true emotional clip
lmd/face        F-LMD: the same over all landmarks of the face
lmd/lips_moved  mean distance of the mouth's landmarks from those of the neutral source, at the same frames

A distance is taken in the face plane of the clip that is compared with, after head pose and scale are removed from both
by the points that expressions hardly move, and is a share of the distance between that face's outer eye corners.

The true clip is a take of its own, with another length and other timing. Frames are paired at equal shares of the
length of each, so `lmd/mouth` and `lmd/face` show how alike the two takes are in the shapes that a face has over a
sentence: a lasting smile, raised brows, a mouth held open. They cannot show whether the lips say the right sound at
the right time, for two true takes of one sentence are apart as well, and an edit that keeps the source's timing never
comes to 0. `lmd/lips_moved` compares frames that are in step. It has no better side: an emotion changes the shape of a
mouth, and a value near 0 says that the mouth was left as it was.

Legend: T frames that are looked at (4), P points of the face mesh (468).
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from cmet.backbones.facemesh.mesh import NUM_FACE_POINTS, OPENINGS
from cmet.backbones.facemesh.pose import mean_template, remove_pose
from cmet.engine.attempts import Job, Record
from cmet.engine.clip_map import ClipMap
from cmet.errors import ClipError
from cmet.inputs.arrays import read_array
from cmet.inputs.files import BadFile
from cmet.media.landmarks import still_landmarks
from cmet.media.video import VideoFile
from cmet.packs import file_digest, is_packed
from cmet.scores.metrics.metric import Measured, Shown
from cmet.scores.passing import passing_map

NUM_FRAMES = 4
OUTER_LIPS = (
    61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146,
)  # fmt: skip
"""Outline of the lips, in order."""
MOUTH = sorted({*OUTER_LIPS, *OPENINGS[0][0], *OPENINGS[0][1]})
EYE_CORNERS = [33, 263]
"""The outer ones."""

ClipSpan = tuple[Path, int | None]
"""A clip, and over how many frames from its first the looked-at ones are spread; None for all that it has."""


class LandmarkDistances:
    """See the module; a `Metric`."""

    NAMES = ("lmd/mouth", "lmd/face", "lmd/lips_moved")
    WEIGHTS: tuple[str, ...] = ()
    IS_OF_SETS = False

    @classmethod
    def load(cls, weights: Path) -> "LandmarkDistances":
        """The metric; MediaPipe brings its own models."""
        return cls()

    def measure(self, clips: Sequence[Shown], label: str) -> Measured:
        """Measure clips, with a progress bar called `label` over the files that are looked at.

        A clip gets a `ClipError` where it has no true clip (`no_truth`), where a file shows no face (`no_face`) or
        cannot be read. `lmd/lips_moved` is left out where there is no source.
        """
        with passing_map(look_at_clip, label) as clip_map:
            faces = _Faces(clip_map)
            compared = [shown for shown in clips if shown.truth is not None]
            faces.look(
                (path, None)
                for shown in compared
                for path in (shown.video, shown.truth, shown.source)
                if path is not None
            )
            faces.look(_in_step(shown.source, shown.video, faces) for shown in compared if shown.source is not None)
            return Measured([_distances(shown, faces) for shown in clips], {})


def point_distances(edited_TP3: np.ndarray, other_TP3: np.ndarray) -> np.ndarray:
    """Mean distance of every point of a face from where another clip has it, shape (P,); the unit is the module's.

    Args:
        edited_TP3: Landmarks in pixels, NaN in frames without a face.
        other_TP3: The same of the clip that is compared with; frame i is paired with frame i.

    Raises:
        ClipError: `no_face`, when no pair of frames shows two faces.
    """
    is_seen = np.isfinite(edited_TP3).all(axis=(1, 2)) & np.isfinite(other_TP3).all(axis=(1, 2))
    if not is_seen.any():
        raise ClipError("no_face", "no frame shows a face in both of the clips compared")
    template = mean_template([other_TP3[is_seen]], num_rounds=0)
    edited, other = (remove_pose(track[is_seen], template)[0][..., :2] for track in (edited_TP3, other_TP3))
    left, right = template[EYE_CORNERS, :2]
    return np.linalg.norm(edited - other, axis=2).mean(axis=0) / np.linalg.norm(left - right)


def look_at_clip(job: Job, files: Path) -> Record:
    """Keep the landmarks (T, P, 3) of evenly spaced frames of `video`; frames past its end count as without a face.

    Raises:
        ClipError: `no_face`, or the video cannot be read.
    """
    file = VideoFile(Path(job["video"]))
    # as the judge: int(total / n * i), so the last part of a clip is not reached
    indices = [int((job["spread"] or len(file)) / NUM_FRAMES * i) for i in range(NUM_FRAMES)]
    found = still_landmarks(file.frames_at([index for index in indices if index < len(file)]))
    if not np.isfinite(found).any():
        raise ClipError("no_face", f"{file.path.name} shows no face in any of {len(found)} frames")
    track = np.full((NUM_FRAMES, NUM_FACE_POINTS, 3), np.nan, np.float32)
    track[: len(found)] = found[:, :NUM_FACE_POINTS]
    np.save(files / f"{job['clip_id']}.npy", track)
    return {"num_frames": len(file)}


class _Faces:
    """Landmarks of clips, kept by a map. Files of the same bytes are looked at once, whatever their names."""

    def __init__(self, clip_map: ClipMap) -> None:
        self._map = clip_map
        self._contents: dict[Path, str] = {}
        self._jobs: dict[str, Job] = {}
        self._records: dict[str, Record] = {}

    def look(self, views: Iterable[ClipSpan]) -> None:
        """Look at the clips that have not been looked at."""
        before = len(self._jobs)
        for path, spread in views:
            name = self._name((path, spread))
            self._jobs.setdefault(name, {"clip_id": name, "video": str(path), "spread": spread})
        jobs = list(self._jobs.values())[before:]
        if jobs:
            self._records |= {record["clip_id"]: record for record in self._map.run(jobs)}

    def num_frames(self, path: Path) -> int | None:
        """Length of a clip that was looked at; None where it could not be."""
        return self._records[self._name((path, None))].get("num_frames")

    def __getitem__(self, view: ClipSpan) -> np.ndarray:
        """Landmarks, shape (T, P, 3).

        Raises:
            ClipError: Why there are none.
        """
        name, path = self._name(view), view[0]
        record = self._records[name]
        if record["status"] != "ok":
            code, message = record["reason"].split(": ", 1)
            looked_at = Path(self._jobs[name]["video"])
            raise ClipError(code, message if looked_at == path else f"{message}; {path.name} has the same bytes")
        return read_array(self._map.files / f"{name}.npy")

    def _name(self, view: ClipSpan) -> str:
        path, spread = view
        if path not in self._contents:
            try:
                self._contents[path] = file_digest(path if is_packed(path) else path.resolve(strict=True))
            except (OSError, BadFile):
                # what cannot be read has no content, but an error of its own
                self._contents[path] = f"unread-{len(self._contents)}"
        return self._contents[path] if spread is None else f"{self._contents[path]}-{spread}"


def _in_step(source: Path, edited: Path, faces: _Faces) -> ClipSpan:
    """The source at the frames at which the edited clip is looked at, also where it is longer or shorter than that."""
    lengths = [faces.num_frames(path) for path in (edited, source)]
    return (source, None) if None in lengths or len(set(lengths)) == 1 else (source, lengths[0])


def _distances(shown: Shown, faces: _Faces) -> Mapping[str, float] | ClipError:
    if shown.truth is None:
        return ClipError("no_truth", f"{shown.video.name} has no true clip to compare with")
    try:
        edited = faces[shown.video, None]
        from_truth = point_distances(edited, faces[shown.truth, None])
        values = {"lmd/mouth": float(from_truth[MOUTH].mean()), "lmd/face": float(from_truth.mean())}
        if shown.source is not None:
            from_source = point_distances(edited, faces[_in_step(shown.source, shown.video, faces)])
            values["lmd/lips_moved"] = float(from_source[MOUTH].mean())
    except ClipError as error:
        return error
    return values
