"""Videos of people: the same codes, shown by muscles."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cmet.backbones.facemesh.basis import ExpressionBasis
from cmet.backbones.facemesh.model import FaceMesh, PersonMesh, _actions_per_code
from cmet.backbones.facemesh.muscles import ACTION_UNITS
from cmet.editing.built_in import BUILT_IN
from cmet.errors import UserError
from cmet.params import InferenceParams

INFERENCE = InferenceParams(batch_size=None, precision="float32", compile=False)
NUM_FRAMES, SIDE = 3, 200


@pytest.fixture(scope="module")
def basis() -> ExpressionBasis:
    """Its first code drops the jaw."""
    basis = ExpressionBasis.load(BUILT_IN / "backbone")
    actions = np.zeros((len(ACTION_UNITS), basis.width))
    actions[list(ACTION_UNITS).index("jaw_drop"), 0] = 1
    return replace(basis, actions=actions)


@pytest.fixture(scope="module")
def track(basis: ExpressionBasis) -> np.ndarray:
    face = np.concatenate([basis.template, np.zeros((10, 3))]) * 35 + (100, 70, 0)
    return np.tile(face, (NUM_FRAMES, 1, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(60, 255, (NUM_FRAMES, SIDE, SIDE, 3), np.uint8)


def test_no_change_gives_the_frames_back(basis: ExpressionBasis, track: np.ndarray, frames: np.ndarray) -> None:
    person = PersonMesh(basis, own_smile=0.7)
    np.testing.assert_array_equal(list(person.render(frames, track, person.encode(track))), frames)


def test_a_jaw_drops_and_the_forehead_stays(basis: ExpressionBasis, track: np.ndarray, frames: np.ndarray) -> None:
    person = PersonMesh(basis, own_smile=0)
    codes = person.encode(track)
    codes[:, 0] += 1
    changed = (np.stack(list(person.render(frames, track, codes))) != frames).any(axis=(0, 2, 3))
    lip, brow = (int(track[0, point, 1]) for point in (17, 105))
    assert changed[lip]
    assert not changed[: brow - 5].any()


def test_a_basis_that_knows_no_muscles_moves_people_as_it_was_fitted(basis: ExpressionBasis) -> None:
    plain = FaceMesh(replace(basis, actions=None))
    assert plain.of_person([], np.zeros((0, 478, 3))) is plain


def test_pictures_without_a_face_tell_of_no_smile(basis: ExpressionBasis) -> None:
    person = FaceMesh(basis).of_person([np.zeros((64, 64, 3), np.uint8)], np.full((1, 478, 3), np.nan))
    assert isinstance(person, PersonMesh)
    assert person.own_smile == 0


def test_muscles_are_the_same_after_saving(tmp_path: Path, basis: ExpressionBasis) -> None:
    FaceMesh(basis).save(tmp_path)
    loaded = FaceMesh.load(tmp_path, tmp_path, INFERENCE).basis
    np.testing.assert_array_equal(loaded.actions, basis.actions)


def test_a_basis_of_an_earlier_version_is_read(tmp_path: Path, basis: ExpressionBasis) -> None:
    FaceMesh(replace(basis, actions=None)).save(tmp_path)
    assert FaceMesh.load(tmp_path, tmp_path, INFERENCE).basis.actions is None


def test_damaged_muscles_are_refused(tmp_path: Path, basis: ExpressionBasis) -> None:
    FaceMesh(replace(basis, actions=np.zeros((2, basis.width)))).save(tmp_path)
    with pytest.raises(UserError, match=r"damaged: actions has shape \(2, 10\)"):
        FaceMesh.load(tmp_path, tmp_path, INFERENCE)


@pytest.mark.parametrize(("emotion", "action"), [("happy", "smile"), ("surprised", "lid_raise")])
def test_a_fitted_code_uses_the_muscles_of_its_emotion(
    basis: ExpressionBasis, track: np.ndarray, emotion: str, action: str
) -> None:
    changes = {"happy": np.eye(10)[0], "surprised": np.eye(10)[1], "neutral": np.zeros(10)}
    rows = [(f"{speaker}-{name}", speaker, name, 2.0) for speaker in ("a", "b") for name in changes]
    clips = pd.DataFrame(rows, columns=["clip_id", "speaker", "emotion", "intensity"]).set_index("clip_id")

    def moved(clip_id: str) -> np.ndarray:
        speaker, name = clip_id.split("-")
        result = track.copy()
        result[:, :468, :2] += basis.movement(track, np.tile(changes[name], (NUM_FRAMES, 1)))
        return result + (speaker == "b")

    actions = _actions_per_code(replace(basis, gain=np.ones(468)), clips, moved)
    assert actions is not None
    told = dict(zip(ACTION_UNITS, actions @ changes[emotion], strict=True))
    assert told[action] > 0.8
    other = "lid_raise" if action == "smile" else "smile"
    assert abs(told[other]) < 0.3
