"""Triangles over the 468 face landmarks, without holes, and rings around them where an edit fades out.

Landmark numbers are MediaPipe's (canonical face model).
"""

from functools import cache

import numpy as np

NUM_FACE_POINTS = 468
"""The landmarks of the face; the ten of the irises follow them and are not part of the mesh."""

OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
"""Outline of the face, in order."""

# upper and lower edge of each opening, corner to corner, point against point
OPENINGS = (
    ((78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308), (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)),
    ((33, 246, 161, 160, 159, 158, 157, 173, 133), (33, 7, 163, 144, 145, 153, 154, 155, 133)),
    ((263, 466, 388, 387, 386, 385, 384, 398, 362), (263, 249, 390, 373, 374, 380, 381, 382, 362)),
)

LIPS = {
    "outer_upper": (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291),
    "outer_lower": (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291),
    "inner_upper": OPENINGS[0][0],
    "inner_lower": OPENINGS[0][1],
}
"""Edges of the lips, each from the left corner of the picture to the right one, point against point."""

STABLE = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 109, 67, 103, 54, 21, 162, 127, 234,
    6, 168, 197, 195, 5, 4, 33, 133, 263, 362, 8, 151,
)  # fmt: skip
"""Points that expressions hardly move: forehead, temples, nose bridge, eye corners."""

BROWS = (
    70, 63, 105, 66, 107, 55, 65, 52, 53, 46, 300, 293, 334, 296, 336, 285, 295, 282, 283, 276,
)  # fmt: skip

# two nostril corners whose three edges all belong to other triangles
NOT_A_TRIANGLE = {(49, 64, 129), (279, 294, 358)}

RINGS = ((1.22, 0.45), (1.55, 0.0))
"""Rings around the outline: distance from its centre relative to the outline, and share of its movement."""


def salience() -> np.ndarray:
    """How much a movement of each face point counts, shape (468,): a lid moves little and says much."""
    weights = np.ones(NUM_FACE_POINTS)
    mouth, *eyes = (sorted({*upper, *lower}) for upper, lower in OPENINGS)
    weights[list(BROWS)] = 2
    weights[mouth] = 2
    for eye in eyes:
        weights[eye] = 5
    return weights


@cache
def face_triangles() -> np.ndarray:
    """Triangles of the face with mouth and eyes closed by strips, then the rings; shape (N, 3), vertex numbers.

    Vertices are the 468 landmarks, then the 36 points of each ring.
    """
    return np.array(_surface() + _openings() + _ring_strips(), np.int32)


def _surface() -> list[tuple[int, int, int]]:
    # imported here: it takes two seconds
    from mediapipe.tasks.python.vision import FaceLandmarksConnections

    tesselation = FaceLandmarksConnections.FACE_LANDMARKS_TESSELATION
    edges = {(min(edge.start, edge.end), max(edge.start, edge.end)) for edge in tesselation}
    neighbours: dict[int, set[int]] = {}
    for a, b in edges:
        neighbours.setdefault(a, set()).add(b)
        neighbours.setdefault(b, set()).add(a)
    corners = {tuple(sorted((a, b, c))) for a, b in edges for c in neighbours[a] & neighbours[b]}
    return sorted((a, b, c) for a, b, c in corners - NOT_A_TRIANGLE)


def _openings() -> list[tuple[int, int, int]]:
    triangles = []
    for upper, lower in OPENINGS:
        for i in range(len(upper) - 1):
            quad = (upper[i], upper[i + 1], lower[i + 1], lower[i])
            triangles += [t for t in (quad[:3], (quad[0], *quad[2:])) if len(set(t)) == 3]
    return triangles


def _ring_strips() -> list[tuple[int, int, int]]:
    size = len(OVAL)
    loops = [list(OVAL)] + [[NUM_FACE_POINTS + ring * size + i for i in range(size)] for ring in range(len(RINGS))]
    triangles = []
    for inner, outer in zip(loops, loops[1:], strict=False):
        for i in range(size):
            j = (i + 1) % size
            triangles += [(inner[i], inner[j], outer[j]), (inner[i], outer[j], outer[i])]
    return triangles


def with_rings(points_NP2: np.ndarray, movement_NP2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Add the rings to landmarks and to their movement.

    Args:
        points_NP2: Landmarks of N frames, shape (N, 468, 2), pixels.
        movement_NP2: Where an edit moves them to, as a difference; same shape.

    Returns:
        Both with the ring points appended, shape (N, 468 + 36 * rings, 2). The outermost ring never moves.
    """
    outline, shift = points_NP2[:, OVAL], movement_NP2[:, OVAL]
    centre = outline.mean(axis=1, keepdims=True)
    points = [points_NP2] + [centre + reach * (outline - centre) for reach, _ in RINGS]
    movement = [movement_NP2] + [share * shift for _, share in RINGS]
    return np.concatenate(points, axis=1), np.concatenate(movement, axis=1)
