"""How far a rendered point has to move so that the landmarks of the rendered face move as asked.

MediaPipe smooths a face towards its own idea of one, so it follows brows and lids only part of the way: a change that
was read off landmarks is smaller than the change of the face. Rendering a change and reading the landmarks again shows
by how much, point by point.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cmet.backbones.facemesh.basis import ExpressionBasis
from cmet.backbones.facemesh.mesh import NUM_FACE_POINTS, face_triangles
from cmet.backbones.facemesh.warp import render
from cmet.media.landmarks import track_landmarks

NUM_ROUNDS = 2
MAX_GAIN = 2.5
MIN_SLOPE = 0.2
SMOOTHING_ROUNDS = 2


@dataclass(frozen=True)
class Case:
    """A few frames (T, H, W, 3) of a face, their track (T, 478, 3), and a delta of its code (K,) to try on it."""

    frames: np.ndarray
    track: np.ndarray
    delta: np.ndarray


def calibrated(basis: ExpressionBasis, cases: Sequence[Case]) -> ExpressionBasis:
    """The basis with the gain measured on some faces; each round measures what the one before has left."""
    before = [basis.plane(track_landmarks(case.frames)).mean(axis=0) for case in cases]
    asked = [(basis.directions @ case.delta).reshape(NUM_FACE_POINTS, 2) for case in cases]
    mix = _neighbour_mix()
    for _ in range(NUM_ROUNDS):
        together, square = np.zeros(NUM_FACE_POINTS), np.zeros(NUM_FACE_POINTS)
        for case, rest, goal in zip(cases, before, asked, strict=True):
            movement = basis.movement(case.track, np.tile(case.delta, (len(case.track), 1)))
            shown = basis.plane(track_landmarks(render(case.frames, case.track, movement))).mean(axis=0)
            together += (goal * (shown - rest)).sum(axis=1)
            square += (goal**2).sum(axis=1)
        together, square = mix @ together, mix @ square
        # a point that no case moves says nothing of its gain
        slope = np.divide(together, square, out=np.ones(NUM_FACE_POINTS), where=square > 0)
        basis = replace(basis, gain=np.clip(basis.gain / np.maximum(slope, MIN_SLOPE), 1, MAX_GAIN))
    return basis


def _neighbour_mix() -> np.ndarray:
    """Matrix (P, P) that averages over neighbours on the mesh, so that the gain has no steps."""
    mix = np.eye(NUM_FACE_POINTS)
    triangles = face_triangles()
    for corners in triangles[(triangles < NUM_FACE_POINTS).all(axis=1)]:
        mix[np.ix_(corners, corners)] = 1
    mix /= mix.sum(axis=1, keepdims=True)
    return np.linalg.matrix_power(mix, SMOOTHING_ROUNDS)
