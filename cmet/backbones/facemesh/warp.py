"""Piecewise-affine warp of a picture by moved mesh vertices."""

from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from cmet.backbones.facemesh.mesh import NUM_FACE_POINTS, face_triangles, with_rings

MAX_GRID = 320
"""Longest side of the grid on which the movement is computed; a larger face gets it enlarged from there."""

SUBPIXEL_BITS = 4


def render(
    frames: Iterable[np.ndarray],
    track: np.ndarray,
    movement: np.ndarray,
    shade: np.ndarray | None = None,
    shares: Iterable[float] | None = None,
) -> Iterator[np.ndarray]:
    """Move the face points of each frame.

    Args:
        frames: RGB uint8 pictures.
        track: Their landmarks, shape (T, 478, 3), pixels.
        movement: Pixels by which each face point moves, shape (T, 468, 2).
        shade: Share by which the skin at each face point becomes lighter, shape (T, 468); None for nowhere.
        shares: How much of both each frame shows, T numbers; None for all of it.
    """
    vertices, shifts = with_rings(track[:, :NUM_FACE_POINTS, :2].astype(np.float64), movement)
    triangles = face_triangles()
    shares = [1.0] * len(track) if shares is None else shares
    if shade is None:
        for frame, points, shift, share in zip(frames, vertices, shifts, shares, strict=True):
            yield warp_face(frame, points, share * shift, triangles)
        return
    # the rings have none
    shades = np.pad(shade, ((0, 0), (0, vertices.shape[1] - NUM_FACE_POINTS)))
    for frame, points, shift, shaded, share in zip(frames, vertices, shifts, shades, shares, strict=True):
        yield warp_face(frame, points, share * shift, triangles, share * shaded)


def warp_face(
    frame: np.ndarray,
    vertices: np.ndarray,
    movement: np.ndarray,
    triangles: np.ndarray,
    shade: np.ndarray | None = None,
) -> np.ndarray:
    """Move mesh vertices and carry the pixels between them along; everything outside the mesh stays as it is.

    Every pixel of the result is looked up where the inverse of its triangle's affine map points to, so there are
    no gaps. Where triangles fold over each other, the ones that keep their orientation win.

    Args:
        frame: RGB uint8, shape (H, W, 3).
        vertices: Where the mesh is, shape (V, 2), pixels.
        movement: By how much it moves, same shape. The rim of the mesh must not move.
        triangles: Vertex numbers, shape (N, 3).
        shade: Share by which each vertex becomes lighter, shape (V,); zero at the rim of the mesh.
    """
    goal = vertices + movement
    left, top, right, bottom = _region(goal, frame.shape)
    if right <= left or bottom <= top or not movement.any():
        return frame.copy()
    step = max(1.0, max(right - left, bottom - top) / MAX_GRID)
    width, height = int(np.ceil((right - left) / step)) + 1, int(np.ceil((bottom - top) / step)) + 1
    offset = np.array([left, top])
    values = -movement if shade is None else np.concatenate([-movement, shade[:, None]], axis=1)
    grids = _over_triangles((goal - offset) / step, values, triangles, width, height)
    if step > 1:
        # grid cell i lies at pixel i * step
        columns, rows = np.meshgrid(
            *(np.arange(size, dtype=np.float32) / np.float32(step) for size in (right - left, bottom - top))
        )
        shift_x, shift_y, *light = (
            cv2.remap(grid, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for grid in grids
        )
    else:
        shift_x, shift_y, *light = (grid[: bottom - top, : right - left] for grid in grids)
    map_x: np.ndarray = shift_x + np.arange(left, right, dtype=np.float32)
    map_y: np.ndarray = shift_y + np.arange(top, bottom, dtype=np.float32)[:, None]
    result = frame.copy()
    drawn = cv2.remap(frame, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    result[top:bottom, left:right] = _lit(drawn, light[0]) if light else drawn
    return result


def _lit(picture: np.ndarray, light: np.ndarray) -> np.ndarray:
    """A picture made lighter by a share (H, W), uint8."""
    return cv2.multiply(picture, cv2.cvtColor(1 + light, cv2.COLOR_GRAY2RGB), dtype=cv2.CV_8U)


def _region(points: np.ndarray, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Part of the picture that the mesh covers: left, top, right, bottom."""
    low, high = np.floor(points.min(axis=0)).astype(int), np.ceil(points.max(axis=0)).astype(int) + 1
    return max(0, low[0]), max(0, low[1]), min(shape[1], high[0]), min(shape[0], high[1])


def _over_triangles(
    goal: np.ndarray, values: np.ndarray, triangles: np.ndarray, width: int, height: int
) -> Iterator[np.ndarray]:
    """Linear interpolation of `values` (V, C) over the moved triangles, C grids (height, width); zero outside."""
    corners = goal[triangles]
    area = _cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    order = _folded_first(area)
    number = np.full((height, width), -1, np.int32)
    fixed: np.ndarray = np.round(corners * (1 << SUBPIXEL_BITS)).astype(np.int32)
    for index, triangle in zip(order.tolist(), fixed[order], strict=True):
        cv2.fillConvexPoly(number, triangle, index, cv2.LINE_8, SUBPIXEL_BITS)
    slopes = _slopes(corners, values[triangles], area).astype(np.float32)
    # row -1 serves the pixels outside of every triangle
    slopes = np.concatenate([slopes, np.zeros((1, *slopes.shape[1:]), np.float32)])
    grid_x, grid_y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    # as NumPy wants indices, which it would make of them at each look
    places = number.astype(np.intp)
    for part in np.ascontiguousarray(slopes.transpose(1, 2, 0)):
        a, b, c = (coefficients.take(places, mode="wrap") for coefficients in part)
        a *= grid_x
        b *= grid_y
        a += b
        a += c
        yield a


def _folded_first(area: np.ndarray) -> np.ndarray:
    """Triangle numbers with those of the rarer orientation first, so that the others are drawn over them."""
    usual = np.sign(np.median(np.sign(area))) or 1.0
    return np.argsort(np.sign(area) * usual, kind="stable")


def _slopes(corners: np.ndarray, values: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Coefficients (N, C, 3) of affine functions a x + b y + c that take `values` (N, 3, C) at the corners.

    Those of triangles less than a pixel high are flatter than that.
    """
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    rise_1, rise_2 = values[:, 1] - values[:, 0], values[:, 2] - values[:, 0]
    # pixels of a triangle thinner than themselves lie partly outside of it, where its slope leads far away: the
    # thinner, the more it takes the mean of its corners
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    share = np.minimum(1.0, np.abs(area) / np.maximum(longest, 1e-6))
    inverse = (share / np.where(area == 0, 1.0, area))[:, None]
    a = (rise_1 * second[:, 1:] - rise_2 * first[:, 1:]) * inverse
    b = (rise_2 * first[:, :1] - rise_1 * second[:, :1]) * inverse
    middle, level = corners.mean(axis=1), values.mean(axis=1)
    c = level - a * middle[:, :1] - b * middle[:, 1:]
    return np.stack([a, b, c], axis=2)


def _cross(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
