"""Curves that move: arrays of points, one curve per frame."""

from functools import cache

import numpy as np

# T frames, N points of a curve, 2 coordinates


def smooth_curve(points_TN2: np.ndarray, is_closed: bool) -> np.ndarray:
    """A Catmull-Rom curve through control points, five points per piece."""
    return _spline_weights(points_TN2.shape[1], is_closed) @ points_TN2


@cache
def _spline_weights(num_points: int, is_closed: bool, steps: int = 5) -> np.ndarray:
    """Weights of the control points in every point of the curve, shape (points of the curve, num_points)."""
    num_pieces = num_points if is_closed else num_points - 1
    weights = np.zeros((num_pieces * steps + (not is_closed), num_points))
    for row in range(len(weights)):
        piece = min(row // steps, num_pieces - 1)
        t = row / steps - piece
        basis = 0.5 * np.array([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2])
        for offset, weight in zip((-1, 0, 1, 2), basis, strict=True):
            index = piece + offset
            weights[row, index % num_points if is_closed else min(max(index, 0), num_points - 1)] += weight
    return weights


def ellipse(centre: tuple[float, float], radius_x: float, radius_y: float) -> np.ndarray:
    """A closed ring of 20 points, shape (20, 2)."""
    angle_N = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    return np.stack([centre[0] + radius_x * np.cos(angle_N), centre[1] + radius_y * np.sin(angle_N)], axis=-1)


def shifted(where_T2: np.ndarray, points_N2: np.ndarray) -> np.ndarray:
    """The same points around a place that moves."""
    return where_T2[:, None] + points_N2


def graph(x: np.ndarray, y_TN: np.ndarray) -> np.ndarray:
    """The curve of heights y over places x, shape (T, N, 2); x may be the same in all frames."""
    return np.stack([np.broadcast_to(x, y_TN.shape), y_TN], axis=-1)


def between(top_TN2: np.ndarray, bottom_TN2: np.ndarray) -> np.ndarray:
    """The closed ring along one curve and back along another."""
    return np.concatenate([top_TN2, bottom_TN2[:, ::-1]], axis=1)
