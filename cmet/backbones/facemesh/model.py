"""The facemesh backbone."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cmet.backbones.facemesh.basis import ExpressionBasis, fit_basis
from cmet.backbones.facemesh.mesh import NUM_FACE_POINTS, face_triangles, with_rings
from cmet.backbones.facemesh.warp import warp
from cmet.media.landmarks import track_landmarks

if TYPE_CHECKING:  # workers that only track need neither
    import pandas as pd

    from cmet.params import ExpressionParams


class FaceMesh:
    """Reads codes off MediaPipe landmarks, and shows other codes by warping the frame itself."""

    name = "facemesh"

    def __init__(self, basis: ExpressionBasis) -> None:
        """Use a fitted basis."""
        self.basis = basis
        self.width = basis.width

    @classmethod
    def load(cls, folder: Path) -> "FaceMesh":
        """Read a fitted basis from a folder."""
        return cls(ExpressionBasis.load(folder))

    @classmethod
    def fit(
        cls, clips: "pd.DataFrame", tracks: Path, held_out_emotion: str | None, params: "ExpressionParams"
    ) -> "FaceMesh":
        """Fit the basis on the training speakers, without the held-out emotion.

        Args:
            clips: Clips with a track, by clip id.
            tracks: Folder of `<clip_id>.npy`.
            held_out_emotion: Left out.
            params: The `expression` section.
        """
        neutral: dict[str, list[np.ndarray]] = {}
        emotional: dict[str, list[np.ndarray]] = {}
        seen = clips[(clips.split == "train") & (clips.emotion != held_out_emotion)]
        for clip_id, speaker, emotion in zip(seen.index, seen.speaker, seen.emotion, strict=True):
            side = neutral if emotion == "neutral" else emotional
            track = np.load(tracks / f"{clip_id}.npy", mmap_mode="r")
            chosen = np.unique(np.linspace(0, len(track) - 1, params.max_frames_per_clip).round().astype(int))
            side.setdefault(speaker, []).append(track[chosen])
        return cls(fit_basis(neutral, emotional, params.num_components, params.ridge))

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
        movement = self.basis.movement(track, codes - self.encode(track))
        vertices, shift = with_rings(track[:, :NUM_FACE_POINTS, :2].astype(np.float64), movement)
        triangles = face_triangles()
        for frame, points, moved in zip(frames, vertices, shift, strict=True):
            yield warp(frame, points, moved, triangles)
