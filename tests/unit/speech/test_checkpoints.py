import re
from pathlib import Path

import pytest
import torch

from cmet.errors import UserError
from cmet.speech.encoders.checkpoints import fill_model


@pytest.fixture
def model() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 1))


class Trap:
    """Writes a file when it is unpickled the ordinary way."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_weights_are_found_in_the_usual_wrappings(
    tmp_path: Path, model: torch.nn.Module, wrapper: str | None, prefix: str
) -> None:
    state = {prefix + key: torch.ones_like(value) for key, value in model.state_dict().items()}
    torch.save({wrapper: state, "epoch": 3} if wrapper else state, tmp_path / "a.pth")
    fill_model(model, tmp_path / "a.pth", "model")
    assert all((value == 1).all() for value in model.state_dict().values())


def test_weights_of_another_model_are_refused_with_counts(tmp_path: Path, model: torch.nn.Module) -> None:
    before = {key: value.clone() for key, value in model.state_dict().items()}
    other = {"0.weight": torch.zeros(3, 2), "0.bias": torch.zeros(2), "2.bias": torch.zeros(1)}
    torch.save(other, tmp_path / "a.pth")
    said = r"a\.pth: not the weights of thing: 2 of 4 keys missing, 1 unexpected, 1 of another shape; first 1\.weight"
    with pytest.raises(UserError, match=said):
        fill_model(model, tmp_path / "a.pth", "thing")
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_weights_that_are_not_needed_may_be_missing_or_more(tmp_path: Path, model: torch.nn.Module) -> None:
    state = {"0.weight": torch.ones(2, 3), "0.bias": torch.ones(2), "extra": torch.ones(1)}
    torch.save(state, tmp_path / "a.pth")
    fill_model(model, tmp_path / "a.pth", "model", re.compile(r"^1\."), may_hold_more=True)
    assert (model.state_dict()["0.weight"] == 1).all()


@pytest.mark.parametrize(
    "content", [b"", b"<html>quota exceeded</html>", b"version https://git-lfs.github.com/spec/v1\n"]
)
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, model: torch.nn.Module, content: bytes) -> None:
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.pth: this file is"):
        fill_model(model, tmp_path / "a.pth", "model")


def test_a_truncated_download_is_refused(tmp_path: Path, model: torch.nn.Module) -> None:
    torch.save(model.state_dict(), tmp_path / "a.pth")
    content = (tmp_path / "a.pth").read_bytes()
    (tmp_path / "a.pth").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"a\.pth: this file is"):
        fill_model(model, tmp_path / "a.pth", "model")


def test_foreign_code_in_a_checkpoint_is_refused_and_does_not_run(tmp_path: Path, model: torch.nn.Module) -> None:
    torch.save(model.state_dict() | {"trap": Trap(tmp_path / "sprung")}, tmp_path / "a.pth")
    with pytest.raises(UserError, match=r"a\.pth: this file is refused"):
        fill_model(model, tmp_path / "a.pth", "model")
    assert not (tmp_path / "sprung").exists()


def test_a_checkpoint_without_a_table_is_refused(tmp_path: Path, model: torch.nn.Module) -> None:
    torch.save(torch.zeros(3), tmp_path / "a.pth")
    with pytest.raises(UserError, match=r"a\.pth: this file holds no named tensors"):
        fill_model(model, tmp_path / "a.pth", "model")
