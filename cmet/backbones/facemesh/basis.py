"""The linear expression basis: what a change of emotion does to a pose-free face.

    face = neutral face of the speaker + lip motion of speech + basis @ code + noise

The basis holds the main ways in which the mean face of an emotional clip differs from its speaker's neutral face.
A code is read off a single frame without knowing the speaker: generalised least squares takes what speakers differ
in and what lips do while speaking as noise of known shape, so that both leak into a code as little as an unbiased
linear reader allows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from cmet.backbones.facemesh.mesh import NUM_FACE_POINTS, salience
from cmet.backbones.facemesh.muscles import ACTION_UNITS
from cmet.backbones.facemesh.pose import Pose, mean_template, remove_pose
from cmet.errors import ClipError, UserError

FILE = "facemesh_basis.safetensors"

MAX_MOVEMENT = 10.0
"""In canonical units; a face is about two of them wide, and a strong emotion moves a point by a tenth of one."""


@dataclass(frozen=True)
class ExpressionBasis:
    """A fitted basis. P is 468, F is 2 P: x and y of every point in canonical units."""

    template: np.ndarray
    """(P, 3) canonical face."""
    mean: np.ndarray
    """(F,) mean neutral face of the training speakers."""
    directions: np.ndarray
    """(F, K) face movement per unit of code, one column for each component."""
    reader: np.ndarray
    """(K, F) generalised least squares inverse of `directions`."""
    explained: np.ndarray
    """(K,) share of the variance of the emotional changes, by salience, that each component holds."""
    gain: np.ndarray
    """(P,) factor on the rendered movement of every point, so that landmarks of the rendered face move as asked."""
    actions: np.ndarray | None = None
    """(A, K) what the muscles of a person would do, in the order of `ACTION_UNITS`, per unit of code; None in a basis
    of an earlier version, and where no emotion of the corpus tells what muscles it uses."""

    @property
    def width(self) -> int:
        """K."""
        return self.directions.shape[1]

    def encode(self, track: np.ndarray) -> np.ndarray:
        """Expression codes of landmarks (T, 478, 3), shape (T, K), float32."""
        aligned, _ = remove_pose(track, self.template)
        return ((_plane(aligned) - self.mean) @ self.reader.T).astype(np.float32)

    def movement(self, track: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """Pixels by which a delta of the codes (T, K) moves each face point, shape (T, 468, 2)."""
        _, pose = remove_pose(track, self.template)
        return self.movement_in(pose, delta)

    def movement_in(self, pose: Pose, delta: np.ndarray) -> np.ndarray:
        """As `movement`, with the pose already known.

        Raises:
            ClipError: `bad_movement`: a point would be moved by many faces.
        """
        plane = (delta.astype(np.float64) @ self.directions.T).reshape(len(delta), NUM_FACE_POINTS, 2)
        moved = self.gain[:, None] * plane
        # not the other way round: NaN is not greater than anything
        if not np.all(np.abs(moved) <= MAX_MOVEMENT):
            raise ClipError(
                "bad_movement",
                f"points of the face would be moved by more than {MAX_MOVEMENT:g} times its size; the clip is no face "
                "like those of the training, or the model is damaged",
            )
        return pose.to_picture(moved)

    def plane(self, track: np.ndarray) -> np.ndarray:
        """Pose-free landmarks in the face plane, shape (T, P, 2), canonical units."""
        return remove_pose(track, self.template)[0][..., :2]

    def save(self, folder: Path) -> None:
        """Write the basis into a folder."""
        arrays = {name: np.ascontiguousarray(value) for name, value in vars(self).items() if value is not None}
        save_file(arrays, folder / FILE)

    @classmethod
    def load(cls, folder: Path) -> "ExpressionBasis":
        """Read a basis.

        Raises:
            UserError: The folder holds none, or a broken one.
        """
        path = folder / FILE
        try:
            basis = cls(**load_file(path))
        except (OSError, SafetensorError, TypeError, KeyError, AttributeError) as error:
            raise UserError(f"{path}: no facemesh basis here ({error}); run `dvc repro` to fit one") from error
        points, plane, width = NUM_FACE_POINTS, 2 * NUM_FACE_POINTS, basis.directions.shape[-1:]
        shapes = {
            "template": (points, 3), "mean": (plane,), "directions": (plane, *width), "reader": (*width, plane),
            "explained": width, "gain": (points,),
        }  # fmt: skip
        if basis.actions is not None:
            shapes["actions"] = (len(ACTION_UNITS), *width)
        for name, shape in shapes.items():
            array = getattr(basis, name)
            if array.shape != shape or not np.isfinite(array).all():
                what = "holds NaN or infinity" if array.shape == shape else f"has shape {array.shape}, not {shape}"
                raise UserError(f"{path}: damaged: {name} {what}; run `dvc repro` to fit a basis")
        return basis


def fit_basis(
    neutral: Mapping[str, Sequence[np.ndarray]],
    emotional: Mapping[str, Sequence[np.ndarray]],
    num_components: int,
    ridge: float,
) -> ExpressionBasis:
    """Fit a basis on landmarks of the training speakers.

    Args:
        neutral: Per speaker the neutral clips, each (T, 478, 3).
        emotional: Per speaker the emotional clips.
        num_components: K.
        ridge: Weight of white noise against speaker differences and lip motion, relative to their mean variance.

    Raises:
        UserError: No speaker has both kinds, or there are fewer emotional clips than components.
    """
    speakers = sorted(speaker for speaker in neutral if neutral[speaker] and emotional.get(speaker))
    num_emotional = sum(len(emotional[speaker]) for speaker in speakers)
    if num_emotional < num_components:
        raise UserError(
            f"expression: {num_components} components need at least as many emotional clips by speakers with neutral "
            f"clips; found {num_emotional} by {len(speakers)} speaker(s)"
        )
    template = mean_template([clip for speaker in speakers for clip in neutral[speaker]])

    def plane(track: np.ndarray) -> np.ndarray:
        return _plane(remove_pose(track, template)[0])

    resting, speaking, changes = [], [], []
    for speaker in speakers:
        clips = [plane(track) for track in neutral[speaker]]
        rest = np.mean([clip.mean(axis=0) for clip in clips], axis=0)
        resting.append(rest)
        speaking += [clip - clip.mean(axis=0) for clip in clips]
        changes += [plane(track).mean(axis=0) - rest for track in emotional[speaker]]
    mean = np.mean(resting, axis=0)
    components, explained = _main_components(np.stack(changes), num_components)
    noise = _covariance(np.stack(resting) - mean) + _covariance(np.concatenate(speaking))
    reader = _gls_reader(components, noise, ridge)
    # codes of the size EDTalk's have: one unit per component and typical emotional change
    size = np.sqrt(np.mean((np.stack(changes) @ reader.T) ** 2))
    return ExpressionBasis(template, mean, components * size, reader / size, explained, np.ones(NUM_FACE_POINTS))


def _main_components(changes: np.ndarray, num_components: int) -> tuple[np.ndarray, np.ndarray]:
    """Principal components of the changes about zero by salience, signed so that the largest entry is positive."""
    weights = np.repeat(salience(), 2)
    _, strength, rows = np.linalg.svd(changes * weights, full_matrices=False)
    components = (rows[:num_components] / weights).T
    largest = components[np.abs(components).argmax(axis=0), np.arange(num_components)]
    return components * np.sign(largest), (strength**2 / (strength**2).sum())[:num_components]


def _covariance(deviations: np.ndarray) -> np.ndarray:
    return deviations.T @ deviations / max(1, len(deviations) - 1)


def _gls_reader(components: np.ndarray, noise: np.ndarray, ridge: float) -> np.ndarray:
    """The unbiased linear reader of least noise: (E' S^-1 E)^-1 E' S^-1."""
    noise = noise + ridge * np.trace(noise) / len(noise) * np.eye(len(noise))
    weighted = np.linalg.solve(noise, components)
    return np.linalg.solve(components.T @ weighted, weighted.T)


def _plane(aligned: np.ndarray) -> np.ndarray:
    return aligned[..., :2].reshape(len(aligned), -1)
