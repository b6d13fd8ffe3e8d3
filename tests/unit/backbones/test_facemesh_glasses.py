"""Glasses of a person: seen by their bridge, and not bent."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from cmet.backbones.facemesh.basis import ExpressionBasis
from cmet.backbones.facemesh.glasses import freedom_behind_glasses, wears_glasses
from cmet.backbones.facemesh.mesh import OPENINGS
from cmet.backbones.facemesh.model import FaceMesh, PersonMesh
from cmet.backbones.facemesh.muscles import ACTION_UNITS
from cmet.editing.built_in import BUILT_IN
from cmet.media.landmarks import still_landmarks
from cmet.media.video import VideoFile

SIDE, SCALE, SKIN = 240, 50, (190, 150, 130)

Worn = Callable[[list[np.ndarray]], bool]


@pytest.fixture(scope="module")
def basis() -> ExpressionBasis:
    """Its codes are actions: brows come down, lids are raised, the mouth smiles, the jaw drops."""
    basis = ExpressionBasis.load(BUILT_IN / "backbone")
    actions = np.zeros((len(ACTION_UNITS), basis.width))
    for code, name in enumerate(("brow_lower", "lid_raise", "smile", "jaw_drop")):
        actions[list(ACTION_UNITS).index(name), code] = 1
    return replace(basis, actions=actions)


@pytest.fixture(scope="module")
def face(basis: ExpressionBasis) -> np.ndarray:
    return (np.concatenate([basis.template, np.zeros((10, 3))]) * SCALE + (120, 100, 0)).astype(np.float32)


@pytest.fixture
def worn(face: np.ndarray) -> Worn:
    """Whether pictures of that face show glasses; one without any red has no face."""

    def worn(pictures: list[np.ndarray]) -> bool:
        found = [face if picture[..., 0].any() else np.full_like(face, np.nan) for picture in pictures]
        return wears_glasses(pictures, np.array(found).reshape(-1, *face.shape))

    return worn


def skin(noise: float = 3) -> np.ndarray:
    picture = np.random.default_rng(0).normal(SKIN, noise, (SIDE, SIDE, 3))
    return picture.clip(0, 255).astype(np.uint8)


def with_bridge(face: np.ndarray, colour: tuple[int, int, int], width: int) -> np.ndarray:
    picture = skin()
    left, right = (tuple(int(v) for v in face[point, :2]) for point in (133, 362))
    cv2.line(picture, left, right, colour, width, cv2.LINE_AA)
    return picture


@pytest.mark.parametrize("colour", [(40, 30, 30), (230, 225, 220)], ids=["dark", "light"])
@pytest.mark.parametrize("width", [1, 2, 3])
def test_a_line_across_the_nose_is_glasses(
    worn: Worn, face: np.ndarray, colour: tuple[int, int, int], width: int
) -> None:
    assert worn([with_bridge(face, colour, width)])


def test_noise_an_edge_and_half_a_line_are_no_glasses(worn: Worn, face: np.ndarray) -> None:
    row, middle = int(face[6, 1]), int(face[6, 0])
    shadow, scar = skin(), skin()
    shadow[row:] //= 2
    scar[row : row + 2, :middle] = 40
    for picture in (skin(noise=8), shadow, scar):
        assert not worn([picture])


def test_a_line_that_comes_and_goes_is_no_glasses(worn: Worn, face: np.ndarray) -> None:
    line = with_bridge(face, (40, 30, 30), 2)
    assert not worn([line, skin(), skin()])
    assert worn([line, line, skin()])


def test_pictures_without_a_face_tell_nothing(worn: Worn, face: np.ndarray) -> None:
    nothing = np.zeros((SIDE, SIDE, 3), np.uint8)
    assert not worn([])
    assert not worn([nothing])
    assert worn([nothing, nothing, with_bridge(face, (40, 30, 30), 2)])


def test_rims_are_held_and_the_mouth_is_free(basis: ExpressionBasis) -> None:
    freedom = freedom_behind_glasses(basis.template)
    middles = [lid[len(lid) // 2] for lid in (*OPENINGS[1], *OPENINGS[2])]
    assert (freedom[[168, 6, 118, 101, 50, 116, 223, 222]] == 0).all()
    assert (freedom[[61, 291, 13, 14, 152, 10]] == 1).all()
    assert (freedom[middles] == 0.5).all()
    assert 0 < freedom[105] < 0.5


@pytest.mark.parametrize(("code", "point"), [(0, 168), (0, 55), (1, 223), (1, 222), (2, 101), (2, 50)])
def test_rims_do_not_bend(basis: ExpressionBasis, face: np.ndarray, code: int, point: int) -> None:
    assert changed_at(basis, face, code, point, has_glasses=True) < 1
    assert changed_at(basis, face, code, point, has_glasses=False) > 4


def test_lids_move_behind_glasses(basis: ExpressionBasis, face: np.ndarray) -> None:
    assert changed_at(basis, face, 1, 159, has_glasses=True) > 4


def changed_at(basis: ExpressionBasis, face: np.ndarray, code: int, point: int, has_glasses: bool) -> float:
    """Mean change of a spotted picture right at a face point."""
    spotted, track = cv2.GaussianBlur(skin(noise=60), (0, 0), 1)[None], face[None]
    person = PersonMesh(basis, own_smile=0, has_glasses=has_glasses)
    codes = person.encode(track)
    codes[:, code] += 1
    column, row = face[point, :2].round().astype(int)
    window = (slice(row - 1, row + 2), slice(column - 1, column + 2))
    moved = next(person.render(spotted, track, codes))
    return float(np.abs(moved[window].astype(float) - spotted[0][window]).mean())


def test_a_jaw_drops_as_without_glasses(basis: ExpressionBasis, face: np.ndarray) -> None:
    frames, track = skin()[None], face[None]
    bare, behind = PersonMesh(basis, own_smile=0), PersonMesh(basis, own_smile=0, has_glasses=True)
    codes = bare.encode(track)
    codes[:, 3] += 1
    chin = slice(int(face[17, 1]), SIDE)
    one, other = (next(person.render(frames, track, codes))[chin] for person in (bare, behind))
    np.testing.assert_array_equal(one, other)
    assert (one != frames[0, chin]).any()


@pytest.mark.parametrize("number", range(1, 9))
def test_one_of_eight_real_faces_worn(real: Path, basis: ExpressionBasis, number: int) -> None:
    video = VideoFile(real / f"faces/face_{number}.mp4")
    some = list(video.frames_at([0, len(video) // 2, len(video) - 1]))
    person = FaceMesh(basis).of_person(some, still_landmarks(some))
    assert isinstance(person, PersonMesh)
    assert person.has_glasses == (number == 3)
