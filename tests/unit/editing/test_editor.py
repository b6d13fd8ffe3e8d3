from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmet.editing.choice import ModelChoice
from cmet.editing.editor import Editor
from cmet.errors import UserError
from cmet.params import SpeechForm
from tests.filled_weights import write_filled_weights
from tests.unit.editing.models import write_facemesh_model, write_model


class EDTalkLike:
    name = "edtalk"


@pytest.mark.parametrize(
    ("size", "wished", "strength"),
    [(0.5, None, 2.0), (0.8, None, 1.25), (0.01, None, 3.0), (2.0, None, 1.0), (0.0, None, 1.0), (0.5, 0.7, 0.7)],
)
def test_a_faint_change_is_made_a_typical_one_unless_a_strength_is_given(
    editor: Editor, size: float, wished: float | None, strength: float
) -> None:
    change = size * np.random.default_rng(0).choice([-1, 1], (30, 6))
    assert editor.strength_for(change, wished) == pytest.approx(strength)
    other = replace(editor, kind=EDTalkLike())  # type: ignore[arg-type]
    assert other.strength_for(change, wished) == (wished or 1.0)


def test_a_change_that_is_like_no_known_emotion_is_not_made_stronger(editor: Editor) -> None:
    change = np.full((30, 6), 0.5)
    assert editor.strength_for(change, None, {"happy": 0.49, "sad": -0.9}) == 1
    assert editor.strength_for(change, None, {"happy": 0.51, "sad": -0.9}) == pytest.approx(2)
    assert editor.strength_for(change, 1.5, {"happy": 0.1}) == 1.5


def test_a_model_for_another_backbone_is_refused(editor: Editor) -> None:
    with pytest.raises(UserError, match="trained for backbone 'facemesh', not 'edtalk'"):
        Editor.load(editor.bundle.folder, backbone="edtalk")


def test_a_model_for_codes_of_another_width_is_refused(tmp_path: Path, editor: Editor) -> None:
    write_model(tmp_path, "facemesh", 7, "opensmile", 88)
    editor.backbone.save(tmp_path / "backbone")
    with pytest.raises(UserError, match="trained on expression codes of 7 values, but facemesh gives 6"):
        _ = Editor.load(tmp_path).backbone


def test_weights_that_are_missing_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CMET_WEIGHTS", str(tmp_path / "none"))
    write_model(tmp_path, "edtalk", 10, "opensmile", 88)
    with pytest.raises(UserError, match=r"EDTalk.pt .* is missing in .*none/edtalk/; run `cmet weights get edtalk`"):
        Editor.load(tmp_path)


def test_speech_is_heard_by_the_layer_that_the_model_was_trained_on(tmp_path: Path) -> None:
    form = SpeechForm(layer=3, pooling="mean-std")
    write_facemesh_model(tmp_path, encoder="whisper-tiny", speech_width=768, form=form)
    editor = Editor.load(tmp_path)
    assert (editor.encoder.name, editor.encoder.width) == ("whisper-tiny", 768)


@pytest.mark.parametrize(("num_frames", "fps"), [(1, 30.0), (3, 25.0), (31, 30.0), (12, 59.94)])
def test_every_frame_gets_a_change_however_short_the_video(editor: Editor, num_frames: int, fps: float) -> None:
    codes = np.random.default_rng(0).normal(size=(num_frames, 6)).astype(np.float32)
    change = editor.predict_delta(codes, fps, np.ones(88, np.float32))
    assert change.shape == (num_frames, 6) and np.isfinite(change).all()


def test_edtalk_without_a_model_takes_the_authors_connector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filled: Path
) -> None:
    for name in ("edtalk", "connector"):
        write_filled_weights(filled, name)
    monkeypatch.setenv("CMET_WEIGHTS", str(filled))
    monkeypatch.chdir(tmp_path)
    editor = ModelChoice(backbone="edtalk").open()
    assert (editor.backbone.name, editor.encoder.name) == ("edtalk", "emotion2vec")
    with pytest.raises(UserError, match="trained for backbone 'edtalk', not 'pdfgc'"):
        ModelChoice(connector=editor.bundle.folder, backbone="pdfgc").open()
