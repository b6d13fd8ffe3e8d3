import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cmet.backbones.facemesh.pose import mean_template, remove_pose


@pytest.fixture
def face() -> np.ndarray:
    """A bumpy oval of 468 points, about as wide, high and deep as a head."""
    random = np.random.default_rng(1)
    return mean_template([random.normal(size=(1, 468, 3)) * [1.0, 1.3, 0.5]])


def test_rotation_size_and_place_are_removed_exactly(face: np.ndarray) -> None:
    rotations = Rotation.from_euler("xyz", [[10, -20, 5], [0, 30, -15]], degrees=True).as_matrix()
    track = np.stack([40 * face @ rotations[0].T + [100, 90, 3], 55 * face @ rotations[1].T + [10, 5, -8]])
    aligned, pose = remove_pose(track, face)
    np.testing.assert_allclose(aligned, np.stack([face, face]), atol=1e-9)
    np.testing.assert_allclose(pose.scale, [40, 55])


def test_a_movement_in_the_face_plane_lands_where_the_turned_head_shows_it(face: np.ndarray) -> None:
    rotation = Rotation.from_euler("xyz", [5, 25, -10], degrees=True).as_matrix()
    track = (50 * face @ rotation.T + [128, 128, 0])[None]
    movement = np.zeros((1, 468, 2))
    movement[0, 61] = [0.1, -0.05]
    _, pose = remove_pose(track, face)
    moved = face.copy()
    moved[61, :2] += [0.1, -0.05]
    expected = (50 * moved @ rotation.T + [128, 128, 0])[:, :2] - track[0, :, :2]
    np.testing.assert_allclose(pose.to_picture(movement)[0], expected, atol=1e-9)


def test_a_mirrored_face_is_not_taken_for_a_turned_one(face: np.ndarray) -> None:
    _, pose = remove_pose((face * [-1, 1, 1])[None], face)
    assert np.linalg.det(pose.rotation[0]) == pytest.approx(1)
