from collections import Counter
from itertools import combinations

import numpy as np

from cmet.backbones.facemesh.mesh import OVAL, RINGS, face_triangles, with_rings


def test_the_mesh_has_no_hole_and_no_overlap() -> None:
    edges = Counter(edge for corners in face_triangles().tolist() for edge in combinations(sorted(corners), 2))
    shared = Counter(edges.values())
    # only the outermost ring is a rim: mouth and eyes are closed
    assert shared == {2: shared[2], 1: len(OVAL)}


def test_the_outermost_ring_never_moves_and_lies_outside_of_the_face() -> None:
    random = np.random.default_rng(0)
    points, movement = with_rings(random.normal(size=(2, 468, 2)), random.normal(size=(2, 468, 2)))
    assert points.shape == (2, 468 + len(RINGS) * len(OVAL), 2)
    assert not movement[:, -len(OVAL) :].any()
    centre = points[:, OVAL].mean(axis=1, keepdims=True)
    reach = np.linalg.norm(points[:, -len(OVAL) :] - centre, axis=2) / np.linalg.norm(points[:, OVAL] - centre, axis=2)
    np.testing.assert_allclose(reach, RINGS[-1][0])
