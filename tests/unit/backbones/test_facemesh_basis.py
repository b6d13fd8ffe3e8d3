from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmet.backbones.facemesh.basis import fit_basis
from cmet.backbones.facemesh.model import FaceMesh
from cmet.errors import ClipError, UserError
from cmet.params import InferenceParams
from tests.unit.backbones.faces import Faces, made_faces

INFERENCE = InferenceParams(batch_size=None, precision="float32", compile=False)


@pytest.fixture(scope="module")
def faces() -> Faces:
    return made_faces()


def test_two_directions_explain_faces_made_of_two(faces: Faces) -> None:
    basis = fit_basis(**faces, num_components=3, ridge=0.01)
    assert basis.explained[:2].sum() > 0.95
    assert basis.explained[2] < 0.03


def test_the_reader_is_unbiased(faces: Faces) -> None:
    basis = fit_basis(**faces, num_components=3, ridge=0.01)
    np.testing.assert_allclose(basis.reader @ basis.directions, np.eye(3), atol=1e-8)


def test_lips_that_speak_hardly_change_a_code(faces: Faces) -> None:
    basis = fit_basis(**faces, num_components=2, ridge=0.01)
    speaking = np.concatenate([basis.encode(clip) - basis.encode(clip).mean(0) for clip in faces["neutral"]["M000"]])
    expressing = np.stack([basis.encode(clip).mean(0) for clip in faces["emotional"]["M000"]])
    plain = np.linalg.pinv(basis.directions)
    deviations = faces["neutral"]["M000"][0][:, :468, :2].reshape(20, -1)
    unguarded = (deviations - deviations.mean(0)) / 60 @ plain.T
    assert speaking.std() < 0.1 * expressing.std()
    assert speaking.std() < 0.5 * unguarded.std()


def test_codes_of_a_change_are_those_that_were_added(faces: Faces) -> None:
    model = FaceMesh(fit_basis(**faces, num_components=2, ridge=0.01))
    track = faces["neutral"]["M001"][0]
    change = np.tile([0.7, -0.4], (20, 1)).astype(np.float32)
    moved = track.copy()
    moved[:, :468, :2] += model.basis.movement(track, change)
    np.testing.assert_allclose(model.encode(moved) - model.encode(track), change, atol=0.05)


def test_a_basis_is_the_same_after_saving(tmp_path: Path, faces: Faces) -> None:
    model = FaceMesh(fit_basis(**faces, num_components=2, ridge=0.01))
    model.save(tmp_path)
    track = faces["neutral"]["M001"][0]
    np.testing.assert_array_equal(FaceMesh.load(tmp_path, tmp_path, INFERENCE).encode(track), model.encode(track))


def test_too_few_clips_are_an_error_that_counts_them(faces: Faces) -> None:
    with pytest.raises(UserError, match="40 components need .* found 36 by 6 speaker"):
        fit_basis(**faces, num_components=40, ridge=0.01)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("gain", lambda gain: gain * np.nan, "gain holds NaN or infinity"),
        ("reader", lambda reader: reader.T.copy(), "reader has shape .936, 2., not .2, 936."),
        ("template", lambda template: template[:-1].copy(), "template has shape .467, 3., not .468, 3."),
        ("directions", lambda directions: directions[:, :1].copy(), "reader has shape"),
    ],
)
def test_a_basis_with_wrong_values_is_refused(
    tmp_path: Path, faces: Faces, name: str, change: Callable[[np.ndarray], np.ndarray], said: str
) -> None:
    basis = fit_basis(**faces, num_components=2, ridge=0.01)
    replace(basis, **{name: change(getattr(basis, name))}).save(tmp_path)
    with pytest.raises(UserError, match=f"facemesh_basis.safetensors: damaged: {said}"):
        FaceMesh.load(tmp_path, tmp_path, INFERENCE)


@pytest.mark.parametrize("factor", [1e3, 1e300, np.nan])
def test_a_movement_by_many_faces_is_refused(faces: Faces, factor: float) -> None:
    basis = fit_basis(**faces, num_components=2, ridge=0.01)
    damaged = replace(basis, directions=basis.directions * factor)
    with pytest.raises(ClipError, match="bad_movement: points of the face would be moved by more than 10 times"):
        damaged.movement(faces["neutral"]["M001"][0], np.ones((20, 2), np.float32))


@pytest.mark.parametrize("content", [None, b"broken"])
def test_a_folder_without_a_basis_is_an_error_that_names_the_file(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "facemesh_basis.safetensors").write_bytes(content)
    with pytest.raises(UserError, match=r"facemesh_basis\.safetensors: no facemesh basis here"):
        FaceMesh.load(tmp_path, tmp_path, INFERENCE)
