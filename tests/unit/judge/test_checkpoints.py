"""Published files of ResNet-18."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cmet.errors import UserError
from cmet.judge.checkpoints import find_checkpoint, load_judge_network, read_resnet18, start_from
from cmet.judge.emotion_fan import PlainJudge
from tests.unit.judge.conftest import PAPER_ORDER

Save = Callable[..., Path]
FERPLUS = "Resnet18_FER+_pytorch.pth.tar"


@pytest.mark.parametrize("place", [None, "state_dict"])
@pytest.mark.parametrize("prefix", ["", "module.", "base_model.module.", "_orig_mod.", "model."])
def test_a_judge_is_read_as_it_was_saved(
    save: Save, trunk_and_head: Mapping[str, Tensor], tmp_path: Path, place: str | None, prefix: str
) -> None:
    network = load_judge_network(save(tmp_path / "judge.pth", place, prefix), PAPER_ORDER)
    for key, tensor in network.state_dict().items():
        assert torch.equal(tensor, trunk_and_head[key]), key


def test_counters_of_batch_norm_may_be_missing(
    save: Save, trunk_and_head: Mapping[str, Tensor], tmp_path: Path
) -> None:
    counters: dict[str, None] = {key: None for key in trunk_and_head if key.endswith("num_batches_tracked")}
    network = load_judge_network(save(tmp_path / "judge.pth", **counters), PAPER_ORDER)
    assert torch.equal(network.state_dict()["fc.bias"], trunk_and_head["fc.bias"])


def test_a_start_fills_the_trunk_and_leaves_the_head(
    save: Save, trunk_and_head: Mapping[str, Tensor], tmp_path: Path
) -> None:
    network = PlainJudge()
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    # its own classifier has eight classes and is passed over
    head = {"fc__weight": torch.ones(8, 512), "fc__bias": torch.ones(8)}
    start_from(network, save(tmp_path / FERPLUS, prefix="module.", **head))
    trunk = {key: tensor for key, tensor in trunk_and_head.items() if not key.startswith("fc.")}
    for key, tensor in network.state_dict().items():
        assert torch.equal(tensor, trunk.get(key, before[key])), key


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"conv1__weight": None}, "not a ResNet-18 with torchvision's keys: 1 of 120 keys missing (conv1.weight)"),
        ({"conv1__weight": torch.ones(64, 3, 3, 3)}, "conv1.weight: 64x3x3x3, expected 64x3x7x7"),
        ({"beta__0__weight": torch.ones(1)}, "1 unexpected (beta.0.weight)"),
        ({"bn1__bias": torch.full((64,), torch.nan)}, "NaN or infinity in 1 tensor(s), first bn1.bias"),
        ({"fc__bias": None}, "not a judge: expected a classifier fc with 512 columns and a bias"),
        ({"fc__weight": None, "fc__bias": None}, "not a judge: expected a classifier fc with 512 columns"),
        ({"fc__weight": torch.ones(7, 256)}, "not a judge: expected a classifier fc with 512 columns"),
        (
            {"fc__weight": torch.ones(5, 512), "fc__bias": torch.ones(5)},
            "label_order names 7 emotions, but fc of {path} has 5 rows",
        ),
    ],
)
def test_another_network_is_refused(save: Save, tmp_path: Path, changes: dict[str, Tensor | None], said: str) -> None:
    path = save(tmp_path / "judge.pth", **changes)
    with pytest.raises(UserError) as error:
        load_judge_network(path, PAPER_ORDER)
    assert said.format(path=path) in str(error.value)


def test_weights_in_another_place_are_not_guessed(save: Save, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at the top or under state_dict, found them under ema"):
        read_resnet18(save(tmp_path / "judge.pth", "ema"))


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "empty"), (b"<!DOCTYPE html><title>Sign in</title>", "a web page"), (b"weights", "of an unknown kind")],
)
def test_a_file_that_holds_no_weights_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "judge.pth").write_bytes(content)
    with pytest.raises(UserError, match=f"judge.pth: this file is {said}"):
        read_resnet18(tmp_path / "judge.pth")


def test_a_file_that_is_cut_short_is_refused(save: Save, tmp_path: Path) -> None:
    path = save(tmp_path / "judge.pth")
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(UserError, match="judge.pth: this file is damaged"):
        read_resnet18(path)


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return eval, ("1 / 0",)


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": Malicious()}, tmp_path / "judge.pth")
    with pytest.raises(UserError, match="is refused: it asks for eval"):
        read_resnet18(tmp_path / "judge.pth")


@pytest.mark.parametrize("named", ["judge.pth", "weights/judge/judge.pth", "mine/judge.pth"])
def test_a_file_is_found_by_its_name_or_its_path_and_may_be_a_link(tmp_path: Path, named: str) -> None:
    weights = tmp_path / "weights"
    for folder in (weights / "judge", tmp_path / "mine"):
        folder.mkdir(parents=True)
    (tmp_path / "mine/judge.pth").write_bytes(b"weights")
    (weights / "judge/judge.pth").symlink_to(tmp_path / "mine/judge.pth")
    if named.startswith("mine"):
        with pytest.raises(UserError, match=f"{named}: DVC watches only {weights}/judge; copy or link the file there"):
            find_checkpoint(named, "judge.checkpoint", tmp_path, weights)
    else:
        assert find_checkpoint(named, "judge.checkpoint", tmp_path, weights) == weights / "judge/judge.pth"


@pytest.mark.parametrize("name", ["emotion-fan-ferplus", "judge-mead"])
def test_a_published_file_that_is_missing_is_named_with_the_command_that_gets_it(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=rf"is missing in .+/judge/; run `cmet weights get {name}"):
        find_checkpoint(name, "judge.begin_from", tmp_path, tmp_path / "weights")


def test_a_missing_file_names_the_key_and_both_places(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"judge.checkpoint: x.pth: no such file, neither below .+ nor in .+weights/judge"
    ):
        find_checkpoint("x.pth", "judge.checkpoint", tmp_path, tmp_path / "weights")
