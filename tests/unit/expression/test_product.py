"""Faces are found where they were written."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmet.backbones.facemesh.model import FaceMesh
from cmet.backbones.registry import load_backbone
from cmet.errors import UserError
from cmet.expression.encoding import write_faces
from cmet.expression.product import CODES, MODEL, TRACKS, Faces
from cmet.inputs.files import BadFile
from cmet.packs import write_packs
from cmet.params import Params
from tests.hostile import npy
from tests.layouts import rename
from tests.packing import pack_arrays
from tests.unit.backbones.faces import made_faces, made_model

WIDTH = 4


def write(folder: Path) -> Faces:
    """Two tracks, and the codes that a backbone reads off them; a third clip has none."""
    faces, model = Faces(folder), made_model(WIDTH)
    pack_arrays(faces.all_tracks, dict(zip("ab", made_faces()["neutral"]["M000"], strict=False)))
    write_faces(folder, model, faces, "ab", "test")
    return faces


def test_codes_are_what_the_backbone_reads_off_the_track(tmp_path: Path, params: Params) -> None:
    faces = write(tmp_path)
    backbone = load_backbone("facemesh", faces.model, tmp_path, params.inference)
    codes = faces.codes("a")
    assert (codes.shape, codes.dtype) == ((len(faces.track("a")), WIDTH), np.float32)
    assert np.array_equal(codes, backbone.encode(faces.track("a")))
    assert not np.array_equal(codes, faces.codes("b"))
    assert [faces.has_codes(clip_id) for clip_id in "abc"] == [True, True, False]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (npy(np.full((3, 2), np.nan)), "a.npy: no expression codes, which are finite and of shape"),
        (npy(np.zeros(3)), "a.npy: no expression codes"),
        (npy(np.array([{}], object)), "a.npy: is an array of Python objects"),
        (b"", "a.npy: is not a numpy array"),
    ],
)
def test_codes_that_are_none_are_named(tmp_path: Path, content: bytes, said: str) -> None:
    faces = Faces(tmp_path)
    write_packs(faces.all_codes, ["a.npy"], lambda _: content, "test")
    with pytest.raises(BadFile, match=said):
        faces.codes("a")


@pytest.mark.parametrize("name", [CODES, MODEL, TRACKS])
def test_a_folder_is_called_by_one_name(
    tmp_path: Path, params: Params, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed = rename(monkeypatch, "expression", name)
    faces = write(tmp_path)
    assert faces.has_codes("b")
    assert load_backbone("facemesh", faces.model, tmp_path, params.inference).width == WIDTH
    assert (tmp_path / renamed).is_dir()
    assert not (tmp_path / name).exists()


def test_codes_that_are_no_numbers_are_not_written(tmp_path: Path) -> None:
    faces, model = Faces(tmp_path), made_model(WIDTH)
    pack_arrays(faces.all_tracks, {"a": made_faces()["neutral"]["M000"][0]})
    damaged = FaceMesh(replace(model.basis, mean=model.basis.mean * np.nan))
    with pytest.raises(UserError, match="expression: the codes of a are no numbers"):
        write_faces(tmp_path, damaged, faces, "a", "test")
    assert not faces.has_codes("a")
