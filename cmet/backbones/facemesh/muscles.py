"""How the muscles of a human face move it: facial actions as fields over the mesh, and what each emotion uses of them.

Drawn actors move by other amounts and along other lines than people do, so what a basis has learned of them is turned
into actions before it is shown on a person. Sizes are shares of the distance between the eyes, some 63 mm; they were
set by what lids, brows and lips of real talking faces do at most (1 is a strong, but not a caricatured action).

Source of the actions and of what emotions use: Ekman and Friesen, Facial Action Coding System (1978) and EMFACS (1983).

Legend: N emotions and levels, P face points (468), A actions, K expression components.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np

from cmet.backbones.facemesh.mesh import LIPS, NUM_FACE_POINTS, OPENINGS, face_triangles

ACTION_UNITS = {
    "inner_brow_raise": 1, "outer_brow_raise": 2, "brow_lower": 4, "lid_raise": 5, "cheek_raise": 6, "lid_tighten": 7,
    "nose_wrinkle": 9, "smile": 12, "smirk": 14, "frown": 15, "chin_raise": 17, "lip_stretch": 20, "lip_press": 24,
    "jaw_drop": 26, "lid_droop": 43,
}  # fmt: skip
"""Actions in their order, with their numbers in the coding system; the smirk is on one side only."""

USED_BY = {
    "happy": {"smile": 1.05, "cheek_raise": 1.0, "jaw_drop": 0.4},
    "sad": {
        "inner_brow_raise": 1.8, "brow_lower": 1.0, "cheek_raise": 1.2, "lid_tighten": 0.6, "frown": 1.8,
        "chin_raise": 0.4, "lip_stretch": 1.0, "lid_droop": 1.8,
    },
    "angry": {
        "brow_lower": 2.2, "lid_raise": 1.3, "lid_tighten": 0.9, "nose_wrinkle": 0.9, "frown": 1.2, "lip_press": 0.4,
        "jaw_drop": 2.0,
    },
    "surprised": {"inner_brow_raise": 0.6, "outer_brow_raise": 1.3, "lid_raise": 1.5, "jaw_drop": 1.7},
    "fear": {
        "inner_brow_raise": 1.8, "brow_lower": 0.4, "lid_raise": 1.8, "frown": 1.2, "lip_stretch": 1.0, "jaw_drop": 1.1,
    },
    "disgusted": {
        "nose_wrinkle": 1.1, "cheek_raise": 0.4, "brow_lower": 0.5, "lid_tighten": 0.5, "frown": 0.5, "chin_raise": 0.3,
    },
    "contempt": {"smirk": 1.0, "lid_droop": 0.3},
    "neutral": {},
}  # fmt: skip
"""Actions of each emotion; weights chosen on four real faces, and more than 1 where models show them too weakly."""

LEVEL_SHARES = {1: 0.9, 2: 1.2, 3: 1.5}
"""Factor on the actions by the level of a corpus; a clip without one counts as the strongest."""

LEFT_EYE_POINTS = (33, 133)
RIGHT_EYE_POINTS = (362, 263)

# the lids of the eye on the viewer's right, inner corner to outer
UPPER_LID = (362, 398, 384, 385, 386, 387, 388, 466, 263)
LOWER_LID = (362, 382, 381, 380, 374, 373, 390, 249, 263)

_ABOVE_MOUTH = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 6, 168, 197, 195, 8, 151, 9, 362, 263, 386, 374, 336, 334, 296,
    300, 285, 276, 282, 5, 4, 1,
)  # fmt: skip
_AROUND_BROW = (
    10, 338, 297, 332, 284, 251, 389, 263, 362, 386, 374, 6, 168, 5, 4, 454, 280, 291, 398, 384, 385, 387, 388, 466,
)  # fmt: skip
_AROUND_EYE = (
    10, 336, 285, 296, 295, 334, 282, 293, 283, 300, 276, 6, 168, 5, 280, 330, 347, 346, 454, 291, 263, 362,
)  # fmt: skip
_LOWER_JAW = (152, 379, 397, 288, 361, 280)

RIDGE = 1e-4
"""Of the regression from codes to actions, relative to the mean variance of a code."""

Vectors = Mapping[int, tuple[float, float]]

_SHADES: dict[str, dict[int, float]] = {
    "brow_lower": {
        285: -0.19, 336: -0.19, 417: -0.12, 9: -0.06, 441: -0.12, 442: -0.17, 443: -0.17, 444: -0.1, 413: -0.1,
    },
    "inner_brow_raise": {441: 0.06, 442: 0.06, 336: -0.06, 285: -0.07, 337: -0.07, 9: -0.05},
    "outer_brow_raise": {442: 0.07, 443: 0.1, 444: 0.1, 333: -0.06, 299: -0.05},
    "smile": {426: -0.17, 436: -0.17, 423: -0.1, 425: 0.07, 280: 0.08, 411: 0.06, 432: -0.07},
    "cheek_raise": {450: -0.12, 449: -0.12, 451: -0.1, 448: -0.1, 330: 0.06, 280: 0.06},
    "lid_tighten": {450: -0.07, 449: -0.07, 451: -0.06, 448: -0.05},
    "frown": {422: -0.12, 430: -0.1, 432: -0.08, 18: -0.1, 313: -0.06},
    "chin_raise": {18: -0.1, 313: -0.07},
    "lip_stretch": {426: -0.06, 436: -0.1, 422: -0.07},
    "nose_wrinkle": {426: -0.12, 423: -0.14, 417: -0.1, 465: -0.1, 343: -0.07, 6: -0.05},
    "jaw_drop": {436: -0.06, 426: -0.06},
    "lip_press": {18: -0.07, 313: -0.06},
}  # fmt: skip
"""Share by which skin becomes lighter where an action lifts or smooths it, and darker where it folds; points in the
middle and on the viewer's right."""


@dataclass(frozen=True)
class Muscles:
    """What each action does to a face, in the order of `ACTION_UNITS`."""

    eye_distance: float
    """Between the middles of the eyes, canonical units."""
    fields: np.ndarray
    """(A, P, 2) movement in the face plane, canonical units."""
    shades: np.ndarray
    """(A, P) share by which the skin becomes lighter."""

    @classmethod
    def of(cls, template: np.ndarray) -> "Muscles":
        """Those of a canonical face, shape (P, 3)."""
        plane = template[:, :2]
        left, right = (plane[list(points)].mean(axis=0) for points in (LEFT_EYE_POINTS, RIGHT_EYE_POINTS))
        eye_distance = float(np.linalg.norm(right - left))
        anatomy = _Anatomy(template)
        fields = anatomy.fields()
        return cls(
            eye_distance,
            eye_distance * np.stack([fields[name] for name in ACTION_UNITS]),
            np.stack([anatomy.shade(_SHADES.get(name, {})) for name in ACTION_UNITS]),
        )


def actions_of(emotion: str, level: int | None) -> np.ndarray | None:
    """Actions (A,) that an emotion uses at a level of intensity; None where that is not known of it."""
    used = USED_BY.get(emotion)
    if used is None:
        return None
    share = LEVEL_SHARES[3 if level is None else level]
    return share * np.array([used.get(name, 0.0) for name in ACTION_UNITS])


def fit_actions(deltas_NK: np.ndarray, actions_NA: np.ndarray) -> np.ndarray:
    """Actions per unit of code, shape (A, K): ridge regression without intercept, since no change moves nothing.

    Args:
        deltas_NK: Mean change of the codes for some emotions and levels.
        actions_NA: What the same use.
    """
    square = deltas_NK.T @ deltas_NK
    ridge = RIDGE * np.trace(square) / len(square) * np.eye(len(square))
    return np.linalg.solve(square + ridge, deltas_NK.T @ actions_NA).T


class _Anatomy:
    """Fields over one canonical face: some points are moved, some held, and the skin between them follows smoothly."""

    def __init__(self, template: np.ndarray) -> None:
        plane = template[:, :2]
        mirrored = template * (-1, 1, 1) + (plane[33, 0] + plane[263, 0], 0, 0)
        between = np.linalg.norm(mirrored[:, None] - template[None], axis=2)
        self.opposite = between.argmin(axis=1).tolist()
        """The point on the other side of the face, for each."""
        self.stiffness = _stiffness(template)
        left, right = plane[LIPS["outer_upper"][0], 0], plane[LIPS["outer_upper"][-1], 0]
        middle, half = (left + right) / 2, (right - left) / 2
        self.along = np.clip((plane[:, 0] - middle) / half, -1, 1)
        """Where a point is between the corners of the mouth, -1 to 1."""
        centre, width = plane[list(RIGHT_EYE_POINTS), 0].mean(), np.ptp(plane[list(RIGHT_EYE_POINTS), 0]) / 2
        self.arch = np.clip(1 - ((plane[:, 0] - centre) / width) ** 2, 0, 1) ** 0.8
        """How far a point of the right eye's lids can move."""

    def shade(self, points: Mapping[int, float]) -> np.ndarray:
        """Values (P,) of some points and of those opposite to them."""
        shade = np.zeros(NUM_FACE_POINTS)
        for point, value in points.items():
            shade[[point, self.opposite[point]]] = value
        return shade

    def fields(self) -> dict[str, np.ndarray]:
        """Movement (P, 2) of each action, in distances between the eyes."""
        return {
            "inner_brow_raise": self._brows((-0.025, -0.10), (-0.008, -0.04), (0, 0.01)),
            "outer_brow_raise": self._brows((0, -0.03), (0, -0.08), (0.006, -0.08)),
            "brow_lower": self._brows((-0.045, 0.10), (-0.025, 0.08), (-0.005, 0.03)),
            "lid_raise": self._lids(-0.08, 0.006, {}, _AROUND_EYE),
            "lid_droop": self._lids(0.06, -0.004, {}, _AROUND_EYE),
            "lid_tighten": self._lids(0.014, -0.032, {}, _AROUND_EYE),
            "cheek_raise": self._lids(
                0.006, -0.032,
                {280: (0, -0.05), 330: (0, -0.05), 347: (0, -0.045), 346: (0, -0.04), 352: (0, -0.035)},
                (10, 336, 285, 334, 282, 300, 276, 6, 168, 5, 454, 291, 263, 362, 0, 17, 13, 14, 152),
            ),
            "nose_wrinkle": self._mouth(
                # corners are drawn apart and down: an angry mouth that opens becomes square, not round
                lambda along, lip: (0.04 * along, 0.038 * along**2 - 0.045 * _middle(along) * ("upper" in lip)),
                {278: (0, -0.045), 331: (0.006, -0.035), 279: (0.006, -0.045), 358: (0, -0.04), 336: (-0.015, 0.03),
                 285: (-0.015, 0.03), 9: (0, 0.02)},
                (152, 397, 288),
            ),
            "smile": self._mouth(
                lambda along, lip: (
                    0.105 * along,
                    -0.105 * abs(along) ** 1.8 + _middle(along) * (-0.022 if "upper" in lip else 0.008),
                ),
                {280: (0.012, -0.045), 330: (0.006, -0.035), 152: (0, 0.01), 379: (0.02, 0), 397: (0.03, -0.01),
                 288: (0.015, -0.005)},
                (361,),
            ),
            "smirk": self._one_sided_smile(),
            "frown": self._mouth(
                lambda along, lip: (
                    0.02 * along,
                    0.08 * abs(along) ** 2.4 - _middle(along) * (0.018 if lip == "outer_lower" else 0.012),
                ),
                {152: (0, -0.01), 199: (0, -0.02)},
                _LOWER_JAW[1:],
            ),
            "chin_raise": self._mouth(
                lambda along, lip: (0, -_middle(along) * (0.03 if "lower" in lip else 0.012)),
                {199: (0, -0.04), 152: (0, -0.02), 17: (0, -0.038)},
                _LOWER_JAW[1:],
            ),
            "lip_stretch": self._mouth(
                lambda along, lip: (
                    0.07 * along, 0.025 * along**2 + _middle(along) * (-0.012 if "upper" in lip else 0.012)
                ),
                {},
                _LOWER_JAW,
            ),
            "lip_press": self._mouth(
                lambda along, lip: (
                    -0.02 * along, {"outer_upper": 0.028, "outer_lower": -0.034}.get(lip, 0.0) * _middle(along) ** 0.5
                ),
                {},
                _LOWER_JAW,
            ),
            "jaw_drop": self._mouth(
                lambda along, lip: (
                    -0.07 * along,
                    0.045 * along**2 + (0.2 * (1 - abs(along) ** 2.2) if "lower" in lip else -0.012 * _middle(along)),
                ),
                {152: (0, 0.2), 400: (-0.01, 0.2), 378: (-0.012, 0.19), 379: (-0.014, 0.17), 365: (-0.014, 0.13),
                 397: (-0.01, 0.085), 288: (-0.005, 0.04), 199: (0, 0.2), 361: (0, 0.01)},
                (),
            ),
        }  # fmt: skip

    def _brows(self, inner: tuple[float, float], middle: tuple[float, float], outer: tuple[float, float]) -> np.ndarray:
        """A movement of both brows, given of three places of the right one."""
        first, second, third = (np.array(place) for place in (inner, middle, outer))
        places = {(336, 285): first, (296, 295): 0.6 * first + 0.4 * second, (334, 282): second,
                  (293, 283): (second + third) / 2, (300, 276): third}  # fmt: skip
        moved = {point: tuple(place.tolist()) for points, place in places.items() for point in points}
        return self._on_both_sides(moved, _AROUND_BROW)

    def _lids(self, upper: float, lower: float, skin: Vectors, held: Collection[int]) -> np.ndarray:
        """A movement of the lids, largest in their middle."""
        lids = {point: (0.0, size * float(self.arch[point])) for size, lid in ((upper, UPPER_LID), (lower, LOWER_LID))
                for point in lid[1:-1]}  # fmt: skip
        return self._on_both_sides({**lids, **skin}, held)

    def _mouth(
        self, of_lips: Callable[[float, str], tuple[float, float]], skin: Vectors, held: Collection[int]
    ) -> np.ndarray:
        """A movement of the lips, given along them, and of skin on both sides."""
        moved = self._both_sides(skin)
        for lip, points in LIPS.items():
            for point in points:
                moved[point] = of_lips(float(self.along[point]), lip)
        return self._between(moved, self._held((*_ABOVE_MOUTH, *held)))

    def _one_sided_smile(self) -> np.ndarray:
        """The smirk, on the viewer's right as the sample's actors have it."""
        moved: dict[int, tuple[float, float]] = {280: (0.01, -0.03)}
        for points in LIPS.values():
            for point in points:
                share = float(np.clip((self.along[point] + 0.3) / 1.3, 0, 1)) ** 1.5
                moved[point] = (0.06 * share, -0.085 * share)
        return self._between(moved, self._held((*_ABOVE_MOUTH, 152, 397, 288, 361)) | {50})

    def _on_both_sides(self, moved: Vectors, held: Collection[int]) -> np.ndarray:
        return self._between(self._both_sides(moved), self._held(held))

    def _both_sides(self, moved: Vectors) -> dict[int, tuple[float, float]]:
        """Movements of points, and the mirrored ones of those opposite to them; in the middle they go up and down."""
        sides: dict[int, tuple[float, float]] = {}
        for point, (x, y) in moved.items():
            opposite = self.opposite[point]
            sides[opposite] = (-x, y)
            sides[point] = (0.0 if opposite == point else x, y)
        return sides

    def _held(self, points: Collection[int]) -> set[int]:
        return {*points, *(self.opposite[point] for point in points)}

    def _between(self, moved: Vectors, held: Collection[int]) -> np.ndarray:
        """The smoothest movement (P, 2) that takes these values: least bending of the skin."""
        fixed = {**dict.fromkeys(held, (0.0, 0.0)), **moved}
        known = np.array(sorted(fixed))
        free = np.setdiff1d(np.arange(NUM_FACE_POINTS), known)
        field = np.zeros((NUM_FACE_POINTS, 2))
        field[known] = [fixed[point] for point in known.tolist()]
        field[free] = np.linalg.solve(
            self.stiffness[np.ix_(free, free)], -self.stiffness[np.ix_(free, known)] @ field[known]
        )
        return field


def _stiffness(template: np.ndarray) -> np.ndarray:
    """Bending of a field over the skin as a quadratic form (P, P); nothing reaches across mouth and eyes.

    Source: the square of the graph Laplacian, with edges weighted by their inverse length.
    """
    weights = np.zeros((NUM_FACE_POINTS, NUM_FACE_POINTS))
    openings = [set(upper) | set(lower) for upper, lower in OPENINGS]
    chains = {frozenset(pair) for sides in OPENINGS for chain in sides for pair in zip(chain, chain[1:], strict=False)}
    triangles = face_triangles()
    for corners in triangles[(triangles < NUM_FACE_POINTS).all(axis=1)].tolist():
        for one, other in zip(corners, corners[1:] + corners[:1], strict=True):
            is_across = any({one, other} <= opening for opening in openings) and {one, other} not in chains
            if not is_across:
                length = np.linalg.norm(template[one] - template[other])
                weights[one, other] = weights[other, one] = 1 / max(float(length), 1e-6)
    sums = weights.sum(axis=1)
    laplacian = np.eye(NUM_FACE_POINTS) - weights / np.maximum(sums, 1e-9)[:, None]
    return laplacian.T @ laplacian + 1e-9 * np.eye(NUM_FACE_POINTS)


def _middle(along: float) -> float:
    """1 in the middle of the mouth, 0 at its corners."""
    return 1 - along * along
