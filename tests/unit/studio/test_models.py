from pathlib import Path

import pytest

from cmet.errors import UserError
from cmet.studio.models import missing_models, offered_models
from tests.unit.editing.models import write_model


@pytest.fixture(autouse=True)
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No weights are here."""
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setenv("CMET_WEIGHTS", str(folder))
    return folder


def test_the_built_in_model_is_always_there_and_knows_emotions(tmp_path: Path) -> None:
    (model,) = offered_models(trained=tmp_path)
    assert model.label == "facemesh, built in"
    assert model.shows_preview
    assert {"happy", "angry", "sad"} <= set(model.emotions)


def test_what_is_missing_comes_with_the_command_that_gets_it(tmp_path: Path, weights: Path) -> None:
    said = {one.label: one.way for one in missing_models(offered_models(trained=tmp_path))}
    assert said["edtalk, by the authors"] == "get it with `cmet weights get --for edit`"
    assert said["pdfgc"].startswith("get it with `cmet weights get pdfgc-appearance pdfgc-motion")
    (weights / "pdfgc").mkdir()
    for name in ("appearance", "motion", "audio", "generator"):
        (weights / f"pdfgc/{name}_model.pth").touch()
    said = {one.label: one.way for one in missing_models(offered_models(trained=tmp_path))}
    assert said["pdfgc"] == "train it with `dvc repro train@pdfgc`"


def test_the_page_begins_with_a_model_that_shows_previews(tmp_path: Path) -> None:
    for backbone, width in (("edtalk", 10), ("facemesh", 6), ("pdfgc", 30)):
        (tmp_path / "train").mkdir(exist_ok=True)
        write_model(tmp_path / "train" / backbone, backbone, width, "opensmile", 88)
    offered = offered_models(trained=tmp_path / "train")
    assert [(model.label, model.finds_strength) for model in offered] == [
        ("facemesh, trained here", True),
        ("facemesh, built in", True),
        ("edtalk, trained here", False),
        ("pdfgc, trained here", False),
    ]
    named = offered_models(tmp_path / "train/pdfgc", trained=tmp_path / "train")
    assert named[0].label == str(tmp_path / "train/pdfgc")


def test_a_model_that_is_asked_for_comes_first_and_has_to_be_there(tmp_path: Path) -> None:
    from cmet.editing.built_in import BUILT_IN

    assert offered_models(BUILT_IN, trained=tmp_path)[0].folder == BUILT_IN
    with pytest.raises(UserError, match="no trained model here"):
        offered_models(tmp_path / "none", trained=tmp_path)
