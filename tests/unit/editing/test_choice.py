"""Which model edits where none is named."""

import re
from pathlib import Path
from shutil import copytree

import pytest

from cmet.editing import choice
from cmet.editing.built_in import BUILT_IN
from cmet.editing.choice import default_editor
from cmet.editing.editor import Editor
from cmet.speech.encoders.encoder import SpeechEncoder
from tests.filled_weights import write_filled_weights


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CMET_WEIGHTS", str(tmp_path / "none"))


def remark(editor: Editor) -> str:
    (said,) = editor.remarks
    return said


def test_without_anything_the_built_in_model_is_used_and_says_what_is_better() -> None:
    editor = default_editor()
    assert editor.bundle.folder == BUILT_IN
    said = "built-in one is used, .* drawn sample corpus; `cmet weights get --for edit` gets"
    assert re.search(said, remark(editor))


def test_a_trained_model_comes_first_and_says_nothing(tmp_path: Path) -> None:
    copytree(BUILT_IN, tmp_path / "data/train/facemesh")
    editor = default_editor()
    assert (editor.bundle.folder, editor.remarks) == (Path("data/train/facemesh"), ())


@pytest.fixture
def published(filled: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All weights of the published edit, and an encoder that finds what it needs."""
    write_filled_weights(filled, "connector")
    write_filled_weights(filled, "edtalk")
    monkeypatch.setenv("CMET_WEIGHTS", str(filled))
    hears = SpeechEncoder("emotion2vec", 1024, check=lambda: None)
    monkeypatch.setattr(choice, "load_encoder", lambda name, weights: hears)
    return filled


@pytest.mark.usefixtures("published")
def test_with_all_published_weights_they_are_used_and_that_is_said() -> None:
    editor = default_editor()
    assert (editor.kind.name, editor.encoder.name) == ("edtalk", "emotion2vec")
    assert "EDTalk is used with the authors' Connector and emotion2vec" in remark(editor)


@pytest.mark.usefixtures("published")
def test_a_backbone_that_is_wished_for_decides() -> None:
    editor = default_editor("facemesh")
    assert editor.bundle.folder == BUILT_IN
    assert "`--backbone edtalk` takes the authors' Connector" in remark(editor)
    assert default_editor("edtalk").remarks == ()


@pytest.mark.usefixtures("published")
def test_a_told_emotion_takes_the_built_in_model_since_the_published_one_knows_none() -> None:
    editor = default_editor(is_told=True)
    assert editor.bundle.folder == BUILT_IN and "hears" not in remark(editor)


def test_what_is_missing_of_the_published_weights_is_named(
    tmp_path: Path, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in published.glob("*/*"):
        (tmp_path / "none" / path.parent.name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "none" / path.parent.name / path.name).symlink_to(path)
    (tmp_path / "none/edtalk/Audio2Lip.pt").unlink()
    monkeypatch.setenv("CMET_WEIGHTS", str(tmp_path / "none"))
    editor = default_editor()
    assert editor.bundle.folder == BUILT_IN
    assert "the authors' Connector, which is here, lacks something: Audio2Lip.pt" in remark(editor)
