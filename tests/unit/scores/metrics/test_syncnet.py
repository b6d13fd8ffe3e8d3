from pathlib import Path

import pytest
import torch
from fill import METRICS, fill
from torch import Tensor

from cmet.errors import UserError
from cmet.scores.metrics.syncnet import SyncNet, load_syncnet
from cmet.weights.registry import NETWORKS

FILE = "syncnet_v2.model"


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    network = SyncNet()
    fill(network, METRICS)
    return network.state_dict()


def test_the_network_has_the_published_keys_and_the_size_of_the_published_file() -> None:
    shapes = NETWORKS["syncnet"].shapes
    assert {key: tuple(tensor.shape) for key, tensor in SyncNet().state_dict().items()} == shapes
    # 54,573,114 bytes are published; the rest of them are names and sizes
    num_bytes = 4 * sum(torch.Size(shape).numel() for key, shape in shapes.items() if "num_batches" not in key)
    assert 0 < 54_573_114 - num_bytes < 20_000


@pytest.mark.parametrize(
    ("key", "shape"),
    [
        ("netcnnaud.4.weight", (192, 64, 3, 3)),
        ("netcnnaud.18.weight", (512, 256, 5, 4)),
        ("netfcaud.3.weight", (1024, 512)),
        ("netcnnlip.0.weight", (96, 3, 5, 7, 7)),
        ("netcnnlip.18.weight", (512, 256, 1, 6, 6)),
        ("netfclip.1.running_var", (512,)),
    ],
)
def test_layers_have_their_published_numbers(key: str, shape: tuple[int, ...]) -> None:
    assert NETWORKS["syncnet"].shapes[key] == shape


@pytest.mark.parametrize("has_counters", [True, False])
def test_the_published_file_loads_with_and_without_counters_of_batch_norm(
    tmp_path: Path, published: dict[str, Tensor], has_counters: bool
) -> None:
    state = {key: tensor for key, tensor in published.items() if has_counters or "num_batches" not in key}
    (tmp_path / "metrics").mkdir()
    torch.save(state, tmp_path / "metrics" / FILE, _use_new_zipfile_serialization=False)
    network = load_syncnet(tmp_path)
    assert not network.training
    assert all(torch.equal(network.state_dict()[key], tensor) for key, tensor in state.items())


def test_another_file_is_refused_by_name(tmp_path: Path, published: dict[str, Tensor]) -> None:
    (tmp_path / "metrics").mkdir()
    torch.save({**published, "netfclip.3.bias": torch.zeros(3)}, tmp_path / "metrics" / FILE)
    with pytest.raises(UserError, match=r"netfclip\.3\.bias: 3, expected 1024") as caught:
        load_syncnet(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'metrics' / FILE}: this is SyncNet")


def test_a_missing_file_is_said_with_the_command_that_gets_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"{FILE} .* is missing in {tmp_path}/metrics/; run `cmet weights get syncnet"):
        load_syncnet(tmp_path)


@torch.inference_mode()
def test_windows_of_lips_are_those_of_five_pictures_each(published: dict[str, Tensor]) -> None:
    network = SyncNet()
    network.load_state_dict(published)
    network.eval()
    pictures = 255 * torch.rand(3, 7, 224, 224)
    together_ND = network.lips(pictures)
    alone_ND = torch.cat([network.lips(pictures[:, start : start + 5]) for start in range(3)])
    assert together_ND.shape == (3, 1024)
    torch.testing.assert_close(together_ND, alone_ND, atol=1e-5 * float(alone_ND.abs().max()), rtol=0)


@torch.inference_mode()
def test_a_window_of_sound_has_as_many_features_as_one_of_lips() -> None:
    assert SyncNet().eval().voice(torch.randn(2, 1, 13, 20)).shape == (2, 1024)
