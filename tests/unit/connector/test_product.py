"""A trained model as others find it, without loading it."""

import hashlib
from pathlib import Path

from cmet.connector.product import LAST
from tests.unit.conftest import Tiny, write_model


def test_a_model_says_what_it_was_made_for(tiny: Tiny) -> None:
    assert (tiny.model.config.backbone, tiny.model.config.step) == ("facemesh", 20)
    assert tiny.model.sha256 == hashlib.sha256(b"weights").hexdigest()
    assert set(tiny.model.history["step"]) == {10, 20}


def test_what_an_edit_needs_is_all_but_the_state_of_the_optimizer(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    before = model.files
    (model.folder / LAST).touch()
    assert model.files == before
    assert {model.weights, model.card} < set(before)
