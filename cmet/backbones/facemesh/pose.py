"""Head pose: taken out of landmarks, and put back on a movement."""

from dataclasses import dataclass

import numpy as np

from cmet.backbones.facemesh.mesh import NUM_FACE_POINTS, STABLE


@dataclass(frozen=True)
class Pose:
    """Similarity from canonical space to the picture, per frame: scale (T,) in pixels, rotation (T, 3, 3)."""

    scale: np.ndarray
    rotation: np.ndarray

    def to_picture(self, movement_TP2: np.ndarray) -> np.ndarray:
        """Turn movements in the canonical face plane into movements in pixels, shape (T, P, 2)."""
        return self.scale[:, None, None] * movement_TP2 @ np.swapaxes(self.rotation[:, :2, :2], 1, 2)


def remove_pose(track: np.ndarray, template: np.ndarray) -> tuple[np.ndarray, Pose]:
    """Align landmarks to a template by the similarity that fits the stable points best (least squares).

    Args:
        track: Landmarks, shape (T, 478 or 468, 3), pixels.
        template: Canonical face, shape (468, 3), its stable points centred and of unit mean distance.

    Returns:
        Aligned landmarks, shape (T, 468, 3), and the pose that was removed.

    Source: Umeyama 1991, closed form by singular value decomposition.
    """
    points = track[:, :NUM_FACE_POINTS].astype(np.float64)
    stable, goal = points[:, STABLE], template[list(STABLE)]
    centre = stable.mean(axis=1, keepdims=True)
    goal_centre = goal.mean(axis=0)
    moved, fixed = stable - centre, goal - goal_centre
    left, stretch, right = np.linalg.svd(np.swapaxes(moved, 1, 2) @ fixed)
    # a reflection is no head pose
    flip = np.ones_like(stretch)
    flip[:, 2] = np.sign(np.linalg.det(left @ right))
    rotation = (left * flip[:, None]) @ right
    scale = (stretch * flip).sum(axis=1) / (moved**2).sum(axis=(1, 2))
    aligned = scale[:, None, None] * (points - centre) @ rotation + goal_centre
    # points = aligned / scale @ rotation.T: rows times the transposed matrix
    return aligned, Pose(1 / scale, rotation)


def mean_template(tracks: list[np.ndarray], num_rounds: int = 3) -> np.ndarray:
    """Canonical face of some tracks, shape (468, 3): generalised Procrustes mean, front facing, unit size.

    Args:
        tracks: Landmarks per clip, each (T, 478, 3) without missing frames.
        num_rounds: Alternations of aligning and averaging.
    """
    means = np.stack([track[:, :NUM_FACE_POINTS].astype(np.float64).mean(axis=0) for track in tracks])
    template = _unit(means.mean(axis=0))
    for _ in range(num_rounds):
        template = _unit(remove_pose(means, template)[0].mean(axis=0))
    return template


def _unit(face: np.ndarray) -> np.ndarray:
    stable = face[list(STABLE)]
    centred = face - stable.mean(axis=0)
    return centred / np.linalg.norm(centred[list(STABLE)], axis=1).mean()
