"""The facemesh backbone."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cmet.backbones.facemesh.basis import ExpressionBasis, fit_basis
from cmet.backbones.facemesh.calibration import Case, calibrated
from cmet.backbones.facemesh.warp import render
from cmet.media.landmarks import track_landmarks
from cmet.media.video import read_video

if TYPE_CHECKING:  # workers that only track need neither
    import pandas as pd

    from cmet.backbones.registry import FaceTracker
    from cmet.params import ExpressionParams, InferenceParams

FRAMES_PER_CASE = 4


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
        return cls(calibrated(basis, _calibration_cases(basis, seen, track, video, params.num_calibration_clips)))

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
        yield from render(frames, track, self.basis.movement(track, codes - self.encode(track)))


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
