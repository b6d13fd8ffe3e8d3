import cv2
import numpy as np
import pytest

from cmet.backbones.facemesh.warp import warp_face

SIDE = 9


@pytest.fixture
def picture() -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 4)


@pytest.fixture
def grid() -> tuple[np.ndarray, np.ndarray]:
    """A 9x9 grid of vertices from (40, 30) to (120, 94), and its triangles."""
    x, y = np.meshgrid(np.linspace(40, 120, SIDE), np.linspace(30, 94, SIDE))
    corner = np.arange(SIDE * (SIDE - 1)).reshape(SIDE - 1, SIDE)[:, :-1].ravel()
    upper = np.stack([corner, corner + 1, corner + SIDE], axis=1)
    lower = np.stack([corner + 1, corner + SIDE + 1, corner + SIDE], axis=1)
    return np.stack([x.ravel(), y.ravel()], axis=1), np.concatenate([upper, lower])


def bump(vertices: np.ndarray, by: tuple[float, float]) -> np.ndarray:
    movement = np.zeros_like(vertices)
    movement[SIDE * (SIDE // 2) + SIDE // 2] = by
    return movement


def test_no_movement_changes_no_pixel(picture: np.ndarray, grid: tuple[np.ndarray, np.ndarray]) -> None:
    vertices, triangles = grid
    np.testing.assert_array_equal(warp_face(picture, vertices, np.zeros_like(vertices), triangles), picture)


def test_pixels_outside_of_moved_triangles_are_untouched(
    picture: np.ndarray, grid: tuple[np.ndarray, np.ndarray]
) -> None:
    vertices, triangles = grid
    result = warp_face(picture, vertices, bump(vertices, (3.0, 2.0)), triangles)
    is_changed = (result != picture).any(axis=2)
    rows, columns = np.nonzero(is_changed)
    # the centre is at (80, 62), its neighbours ten and eight pixels away
    assert columns.min() >= 69 and columns.max() <= 91
    assert rows.min() >= 53 and rows.max() <= 71
    assert is_changed.sum() > 150


def test_a_vertex_takes_its_pixel_along(picture: np.ndarray, grid: tuple[np.ndarray, np.ndarray]) -> None:
    vertices, triangles = grid
    result = warp_face(picture, vertices, bump(vertices, (3.0, 2.0)), triangles)
    assert np.abs(result[64, 83].astype(int) - picture[62, 80]).max() <= 2


def test_an_affine_movement_is_exact(picture: np.ndarray, grid: tuple[np.ndarray, np.ndarray]) -> None:
    vertices, triangles = grid
    matrix = np.array([[1.1, 0.1], [-0.05, 0.95]])
    centre = np.array([80.0, 62.0])
    movement = (vertices - centre) @ matrix.T + centre - vertices
    result = warp_face(picture, vertices, movement, triangles)
    affine = np.concatenate([matrix, (centre - matrix @ centre)[:, None]], axis=1)
    expected = cv2.warpAffine(picture, affine, (160, 120), borderMode=cv2.BORDER_REPLICATE)
    inside = (slice(45, 80), slice(55, 105))
    assert np.abs(result[inside].astype(int) - expected[inside]).max() <= 3


def test_a_folded_mesh_leaves_no_gap(picture: np.ndarray, grid: tuple[np.ndarray, np.ndarray]) -> None:
    vertices, triangles = grid
    result = warp_face(np.full_like(picture, 200), vertices, bump(vertices, (14.0, 0.0)), triangles)
    assert (result == 200).all()


def test_a_large_picture_gives_the_same_as_a_small_one(
    picture: np.ndarray, grid: tuple[np.ndarray, np.ndarray]
) -> None:
    vertices, triangles = grid
    movement = bump(vertices, (4.0, -3.0))
    large = cv2.resize(picture, None, fx=8, fy=8, interpolation=cv2.INTER_CUBIC)
    # pixel centres: x' = 8 x + 3.5
    warped = warp_face(large, 8 * vertices + 3.5, 8 * movement, triangles)
    small = cv2.resize(warped, (160, 120), interpolation=cv2.INTER_AREA)
    difference = np.abs(small.astype(int) - warp_face(picture, vertices, movement, triangles))
    assert difference.max() <= 8
    assert (warped[:, : 8 * 38] == large[:, : 8 * 38]).all()


def test_a_mesh_that_leaves_the_picture_is_cut_off(picture: np.ndarray, grid: tuple[np.ndarray, np.ndarray]) -> None:
    vertices, triangles = grid
    shifted = vertices + np.array([70.0, 0.0])
    assert warp_face(picture, shifted, bump(vertices, (3.0, 2.0)), triangles).shape == picture.shape
    assert (warp_face(picture, vertices + 500, bump(vertices, (3.0, 2.0)), triangles) == picture).all()


def test_an_opening_that_closes_shows_nothing_from_far_away() -> None:
    # two lips six pixels apart come together to a fifth of a pixel; every row of the picture has its own grey
    picture = np.repeat(np.arange(64, dtype=np.uint8)[:, None] * 4, 64, axis=1)[..., None].repeat(3, axis=2)
    rim = [(0, 0), (63, 0), (0, 63), (63, 63)]
    vertices = np.array([*rim, (16, 31.7), (48, 33.3), (16, 37.7), (48, 39.3)], float)
    movement = np.zeros((8, 2))
    movement[6:, 1] = -5.8
    triangles = [
        (0, 1, 5),
        (0, 5, 4),
        (0, 4, 6),
        (0, 6, 2),
        (1, 3, 7),
        (1, 7, 5),
        (2, 6, 7),
        (2, 7, 3),
        (4, 5, 7),
        (4, 7, 6),
    ]
    rows = warp_face(picture, vertices, movement, np.array(triangles, np.int32))[31:35, 18:47, 0] / 4
    assert rows.min() > 29
    assert rows.max() < 41


def test_shade_makes_skin_lighter_where_it_is(picture: np.ndarray, grid: tuple[np.ndarray, np.ndarray]) -> None:
    vertices, triangles = grid
    dim = picture // 2
    shade = np.zeros(len(vertices))
    shade[SIDE * (SIDE // 2) + SIDE // 2] = 0.4
    lit = warp_face(dim, vertices, bump(vertices, (0.0, 1e-9)), triangles, shade).astype(float)
    assert lit[62, 80].sum() == pytest.approx(1.4 * dim[62, 80].sum(), rel=0.05)
    outside = np.ones(dim.shape[:2], bool)
    outside[53:73, 69:92] = False
    np.testing.assert_array_equal(lit[outside], dim[outside])
