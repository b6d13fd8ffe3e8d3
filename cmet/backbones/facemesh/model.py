"""The facemesh backbone."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import repeat, tee
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cmet.backbones.facemesh.basis import ExpressionBasis, fit_basis
from cmet.backbones.facemesh.calibration import Case, calibrated
from cmet.backbones.facemesh.covered import UsualLook
from cmet.backbones.facemesh.glasses import freedom_behind_glasses, wears_glasses
from cmet.backbones.facemesh.limits import bent, beside_own_smile, facing, movement_of
from cmet.backbones.facemesh.mesh import NUM_FACE_POINTS
from cmet.backbones.facemesh.mouth import draw_inner_mouth
from cmet.backbones.facemesh.muscles import Muscles, actions_of, fit_actions
from cmet.backbones.facemesh.pose import remove_pose
from cmet.backbones.facemesh.warp import render
from cmet.media.landmarks import smile_scores, track_landmarks
from cmet.media.video import read_video

if TYPE_CHECKING:  # workers that only track need neither
    import pandas as pd

    from cmet.backbones.registry import FaceTracker
    from cmet.params import ExpressionParams, InferenceParams

FRAMES_PER_CASE = 4

SMILE_PER_SCORE = 1.3
"""Of the action, per score that MediaPipe gives to a smile."""


@dataclass(frozen=True, eq=False)
class FaceMovement:
    """What changed codes do to a face along a video; T frames, P face points."""

    track: np.ndarray
    """Landmarks, shape (T, 478, 3), pixels."""
    shifts: np.ndarray
    """Pixels by which each face point moves, shape (T, P, 2)."""
    shades: np.ndarray | None = None
    """Share by which the skin at each becomes lighter, shape (T, P); None for nowhere."""
    eye_distances: np.ndarray | None = None
    """In pixels, shape (T,), where an opened mouth is drawn; None where none is."""

    def at(self, index: int) -> "FaceMovement":
        """That of one frame."""
        one = slice(index, index + 1)
        parts = (None if part is None else part[one] for part in (self.shades, self.eye_distances))
        return FaceMovement(self.track[one], self.shifts[one], *parts)


class FaceMesh:
    """Reads codes off MediaPipe landmarks, and shows other codes by warping the frame itself."""

    name = "facemesh"
    picture_px = None
    view = (0.0, 0.0, 1.0, 1.0)
    weights: tuple[str, ...] = ()
    speech_weights: tuple[str, ...] = ()
    keeps_lips = True
    hears = False

    def __init__(self, basis: ExpressionBasis) -> None:
        """Use a fitted basis."""
        self.basis = basis
        self.width = basis.width

    @classmethod
    def tracker(cls, weights: Path, inference: "InferenceParams") -> "FaceTracker":
        """Landmarks need no weights of ours."""
        return cls.track

    @classmethod
    def load(cls, folder: Path, weights: Path, inference: "InferenceParams") -> "FaceMesh":
        """Read a fitted basis from a folder."""
        return cls(ExpressionBasis.load(folder))

    @classmethod
    def fit(
        cls,
        clips: "pd.DataFrame",
        video: Callable[[str], Path],
        track: Callable[[str], np.ndarray],
        held_out_emotion: str | None,
        params: "ExpressionParams",
        weights: Path,
        inference: "InferenceParams",
    ) -> "FaceMesh":
        """Fit the basis and its gain on the training speakers, without the held-out emotion.

        Args:
            clips: Clips with a track, by clip id.
            video: The picture of a clip.
            track: What `tracker` gave of a clip.
            held_out_emotion: Left out.
            params: The `expression` section.
            weights: Not needed.
            inference: Not needed.
        """
        neutral: dict[str, list[np.ndarray]] = {}
        emotional: dict[str, list[np.ndarray]] = {}
        seen = clips[(clips.split == "train") & (clips.emotion != held_out_emotion)]
        for clip_id, speaker, emotion in zip(seen.index, seen.speaker, seen.emotion, strict=True):
            side = neutral if emotion == "neutral" else emotional
            landmarks = track(clip_id)
            chosen = np.unique(np.linspace(0, len(landmarks) - 1, params.max_frames_per_clip).round().astype(int))
            side.setdefault(speaker, []).append(landmarks[chosen])
        basis = fit_basis(neutral, emotional, params.num_components, params.ridge)
        basis = replace(basis, actions=_actions_per_code(basis, seen, track))
        return cls(calibrated(basis, _calibration_cases(basis, seen, track, video, params.num_calibration_clips)))

    def of_person(self, pictures: Sequence[np.ndarray], track: np.ndarray) -> "FaceMesh":
        """The same for a video of a person, whose face is moved as people move, whoever the basis was fitted on.

        Args:
            pictures: Some frames of the person, N of them.
            track: Their landmarks, shape (N, 478, 3), pixels; NaN where no face is seen.
        """
        if self.basis.actions is None:
            return self
        scores = smile_scores(pictures)
        seen = scores[np.isfinite(scores)]
        own_smile = SMILE_PER_SCORE * float(np.median(seen)) if len(seen) else 0.0
        return PersonMesh(self.basis, own_smile, wears_glasses(pictures, track), UsualLook.of(pictures, track))

    def save(self, folder: Path) -> None:
        """Write the basis into a folder."""
        self.basis.save(folder)

    @staticmethod
    def track(frames: Iterable[np.ndarray]) -> np.ndarray:
        """Landmarks, shape (T, 478, 3), pixels; NaN where no face is seen."""
        return track_landmarks(frames)

    def encode(self, track: np.ndarray) -> np.ndarray:
        """Expression codes, shape (T, K), of landmarks without missing frames."""
        return self.basis.encode(track)

    def render(self, frames: Iterable[np.ndarray], track: np.ndarray, codes: np.ndarray) -> Iterator[np.ndarray]:
        """Warp each frame from its own codes to the given ones; pixels away from the face are untouched."""
        yield from self.drawn(frames, self.movement(track, codes))

    def movement(self, track: np.ndarray, codes: np.ndarray) -> FaceMovement:
        """What other codes (T, K) do to the face of a track (T, 478, 3)."""
        return FaceMovement(track, self.basis.movement(track, codes - self.encode(track)))

    def drawn(self, frames: Iterable[np.ndarray], movement: FaceMovement) -> Iterator[np.ndarray]:
        """Frames with a movement of as many."""
        yield from render(frames, movement.track, movement.shifts)


class PersonMesh(FaceMesh):
    """Shows codes by the muscles that a person would use."""

    def __init__(
        self,
        basis: ExpressionBasis,
        own_smile: float,
        has_glasses: bool = False,
        usual_look: UsualLook | None = None,
    ) -> None:
        """Draw a person.

        Args:
            basis: Reads and shows codes.
            own_smile: How much of a smile the person shows without any edit.
            has_glasses: Whether the person wears some.
            usual_look: What tells that something is held before the mouth; None to take it that nothing is.
        """
        super().__init__(basis)
        self.own_smile = own_smile
        self.has_glasses = has_glasses
        self.usual_look = usual_look

    @cached_property
    def muscles(self) -> Muscles:
        """Those of the canonical face."""
        return Muscles.of(self.basis.template)

    @cached_property
    def freedom(self) -> np.ndarray:
        """Share (P,) of its movement and shade that each face point shows."""
        return freedom_behind_glasses(self.basis.template) if self.has_glasses else np.ones(NUM_FACE_POINTS)

    def movement(self, track: np.ndarray, codes: np.ndarray) -> FaceMovement:
        """What other codes (T, K) do to the face of a track (T, 478, 3)."""
        assert self.basis.actions is not None
        aligned, pose = remove_pose(track, self.basis.template)
        delta_TK = codes - self.encode(track)
        actions_TA = bent(delta_TK.astype(np.float64) @ self.basis.actions.T)
        actions_TA = beside_own_smile(actions_TA, self.own_smile) * facing(pose)[:, None]
        shifts = pose.to_picture(self.freedom[:, None] * movement_of(self.muscles, actions_TA, aligned[..., :2]))
        shades = actions_TA @ self.muscles.shades * self.freedom
        return FaceMovement(track, shifts, shades, self.muscles.eye_distance * pose.scale)

    def drawn(self, frames: Iterable[np.ndarray], movement: FaceMovement) -> Iterator[np.ndarray]:
        """Frames with a movement of as many; where something is held before the mouth, it fades."""
        assert movement.eye_distances is not None
        track, shifts = movement.track, movement.shifts
        points = track[:, :NUM_FACE_POINTS, :2].astype(np.float64)
        kept, warped, looked_at = tee(frames, 3)
        free = repeat(1.0, len(track)) if self.usual_look is None else self.usual_look.free(looked_at, track[..., :2])
        shares, shares_again = tee(free)
        moved = render(warped, track, shifts, movement.shades, shares)
        for frame, result, share, where, shift, eye_distance in zip(
            kept, moved, shares_again, points, shifts, movement.eye_distances, strict=True
        ):
            draw_inner_mouth(frame, result, where, share * shift, eye_distance)
            yield result


def _actions_per_code(
    basis: ExpressionBasis, clips: "pd.DataFrame", track: Callable[[str], np.ndarray]
) -> np.ndarray | None:
    """What people would do for each code, from the mean change of each emotion and level of intensity."""
    codes = {clip_id: basis.encode(track(clip_id)).mean(axis=0) for clip_id in clips.index}
    rest = {
        speaker: np.mean([codes[clip_id] for clip_id in own.index], axis=0)
        for speaker, own in clips[clips.emotion == "neutral"].groupby("speaker")
    }
    changes = defaultdict(list)
    for clip_id, speaker, emotion, level in zip(
        clips.index, clips.speaker, clips.emotion, clips.intensity, strict=True
    ):
        if speaker in rest and emotion != "neutral":
            changes[emotion, level].append(codes[clip_id] - rest[speaker])
    known = [
        (np.mean(deltas, axis=0), actions)
        for (emotion, level), deltas in sorted(changes.items(), key=str)
        if (actions := actions_of(emotion, level)) is not None
    ]
    if not known:
        return None
    deltas_NK, actions_NA = map(np.stack, zip(*known, strict=True))
    return fit_actions(deltas_NK.astype(np.float64), actions_NA)


def _calibration_cases(
    basis: ExpressionBasis,
    clips: "pd.DataFrame",
    track: Callable[[str], np.ndarray],
    video: Callable[[str], Path],
    num_cases: int,
) -> list[Case]:
    """Evenly chosen emotional clips, each with a neutral clip of its speaker that the delta is tried on."""
    emotional = clips[clips.emotion != "neutral"].sort_index()
    neutral = clips[clips.emotion == "neutral"].sort_index()
    chosen = emotional.iloc[np.unique(np.linspace(0, len(emotional) - 1, num_cases).round().astype(int))]
    cases: list[Case] = []
    for clip_id, speaker in zip(chosen.index, chosen.speaker, strict=True):
        own = neutral.index[neutral.speaker == speaker]
        if own.empty:
            continue
        source = str(own[len(cases) % len(own)])
        landmarks = track(source)
        delta = basis.encode(track(clip_id)).mean(axis=0) - basis.encode(landmarks).mean(axis=0)
        start = max(0, (len(landmarks) - FRAMES_PER_CASE) // 2)
        indices = range(start, min(len(landmarks), start + FRAMES_PER_CASE))
        frames = read_video(video(source), indices).frames
        cases.append(Case(frames, landmarks[list(indices)], delta))
    return cases
